import type { Duplex } from 'node:stream'
import { WebSocket } from 'ws'

/** What `ws` gives its receiver. */
export interface ReceiverOptions {
  maxPayload: number
  maxFragments: number
  maxBufferedChunks: number
}

// `ws` makes server sockets through `options.WebSocket` and hands them their stream in setSocket(), which its types
// leave out.
type ServerSocket = WebSocket & { setSocket(stream: Duplex, head: Buffer, options: ReceiverOptions): void }
const ServerSocket = WebSocket as unknown as new (address: null, protocols: undefined, options: object) => ServerSocket

/** A server's side of a connection as `ws` makes it, but that what its listeners throw does not end the process. */
export abstract class GuardedSocket extends ServerSocket {
  /** @internal What a listener threw or rejected with: unhandled, it would end the process. */
  abstract listenerFailed(event: string | symbol, error: unknown): void

  /** @internal Calls the application's listeners, or these functions. False where there are none. */
  callListeners(event: string | symbol, args: readonly unknown[], listeners = this.listenersFor(event)): boolean {
    for (const listener of listeners) {
      try {
        const result: unknown = Reflect.apply(listener as () => unknown, this, args)
        if (result instanceof Promise) result.catch((error) => this.listenerFailed(event, error))
      } catch (error) {
        this.listenerFailed(event, error)
      }
    }
    return listeners.length > 0
  }

  /** @internal The application's listeners. */
  listenersFor(event: string | symbol): readonly unknown[] {
    return this.rawListeners(event)
  }

  /** @internal @fastify/websocket's own listener for errors is left out: it would also keep the request and the reply. */
  override on(event: string | symbol, listener: (...args: never[]) => void): this {
    return event === 'error' && isRouteGuard(listener) ? this : super.on(event as 'error', listener as never)
  }
}

/**
 * @fastify/websocket's listener for errors, known by its source: its default logs at level error what a client did,
 * and cuts off the close frame that says so.
 */
function isRouteGuard(listener: unknown): boolean {
  return String(listener).includes('errorHandler.call(this, error, socket, request, reply)')
}
