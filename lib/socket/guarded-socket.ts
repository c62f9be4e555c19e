import { WebSocket } from 'ws'
import { dropListenerTable, isRouteGuard, type ServerSocketClass } from '../dependencies.ts'

const ServerSocket = WebSocket as unknown as ServerSocketClass

export interface ServerOptions {
  /** @default true */
  readonly autoPong?: boolean
}

// One for all sockets of a server.
const optionsForSockets = new WeakMap<object, object>()

/** They inherit from the options of the server: a spread would lose those that are inherited themselves. */
function withoutAutoPong(options: object): object {
  let copy = optionsForSockets.get(options)
  if (copy === undefined) {
    copy = Object.create(options, { autoPong: { value: false } }) as object
    optionsForSockets.set(options, copy)
  }
  return copy
}

/**
 * A server's side of a connection as `ws` makes it, but that an error of a listener does not end the process. It answers
 * no pings by itself: `ws` answers as many as come, and ends a connection that sends sixty at once, without a close frame.
 */
export abstract class GuardedSocket extends ServerSocket {
  /** @internal Whether the server is to answer pings. */
  readonly answersPings: boolean

  /** @internal */
  constructor(address: null, protocols: undefined, options: ServerOptions) {
    super(address, protocols, withoutAutoPong(options))
    this.answersPings = options.autoPong !== false
    dropListenerTable(this)
  }

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
