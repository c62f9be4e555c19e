import { WebSocket } from 'ws'
import { dropListenerTable, isRouteGuard, type ServerSocketClass } from '../dependencies.ts'

const ServerSocket = WebSocket as unknown as ServerSocketClass

export interface ServerOptions {
  /** @default true */
  readonly autoPong?: boolean
}

// The sockets' options by the server's options: all sockets of a server share one object.
const optionsForSockets = new WeakMap<object, object>()

/**
 * The result inherits from the server's options. A spread would lose the options that the server's inherit themselves.
 */
function withoutAutoPong(options: object): object {
  let copy = optionsForSockets.get(options)
  if (copy === undefined) {
    copy = Object.create(options, { autoPong: { value: false } }) as object
    optionsForSockets.set(options, copy)
  }
  return copy
}

/**
 * The server's socket of `ws`, with two changes:
 * - An error of a listener does not end the process.
 * - `ws` does not answer pings by itself. It would answer all of them, however many come. If sixty come at once, it
 *   would end the connection without a close frame.
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

  /** @internal Handles an error of a listener, thrown or rejected. Unhandled, it would end the process. */
  abstract listenerFailed(event: string | symbol, error: unknown): void

  /** @internal Calls the application's listeners, or those that are given. False if there are none. */
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

  /**
   * @internal Ignores @fastify/websocket's own listener for errors: it would keep the request and the reply in memory.
   */
  override on(event: string | symbol, listener: (...args: never[]) => void): this {
    return event === 'error' && isRouteGuard(listener) ? this : super.on(event as 'error', listener as never)
  }
}
