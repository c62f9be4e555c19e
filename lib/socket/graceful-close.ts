import type { Ending } from '../connection/connection.ts'
import { CLOSE, type CloseCode } from '../protocol/close-codes.ts'
import { guardedController } from './guarded-signal.ts'

/** What a graceful close needs of its socket. */
export interface GracefulCloseOwner {
  readonly reception: GracefulCloseReception
  closeWith(close: Pick<CloseCode, 'code' | 'reason'>): void
  listenerFailed(event: string, thrown: unknown): void
}

/** What a graceful close needs of the messages that the peer sends. */
export interface GracefulCloseReception {
  /** True while the handler is working on a message. Undefined if the handler does not read messages from there. */
  readonly busy: boolean | undefined
  /** Resolves once the client's requests are answered. Undefined if there are none. */
  answered(): Promise<void> | undefined
  /** Accepts the messages that are already on their way, and none after them. */
  drain(): void
}

/** Asks the handler of a connection to end, and closes the connection once the handler has ended. */
export class GracefulClose {
  readonly #owner: GracefulCloseOwner
  #controller: AbortController | undefined
  #isAborted: boolean
  /** True once the drain of the node has reached this connection. */
  draining = false

  /** @param isClosed The connection has ended, so the signal is aborted from the start. */
  constructor(owner: GracefulCloseOwner, isClosed: boolean) {
    this.#owner = owner
    this.#isAborted = isClosed
  }

  /** Aborts when the connection ends, or when the drain of the node reaches it. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = guardedController((thrown) => this.#owner.listenerFailed('abort', thrown))
      if (this.#isAborted) this.#controller.abort()
    }
    return this.#controller.signal
  }

  /**
   * The drain of the node has reached this connection: asks the handler to end.
   * @param handling Settles once the handler has ended.
   */
  drain(handling: Promise<void> | undefined): Ending {
    const { reception } = this.#owner
    const answered = reception.answered()
    const handled = answered === undefined ? handling : Promise.all([handling, answered])
    const busy = answered !== undefined || (reception.busy ?? handled !== undefined)
    this.draining = true
    this.abort()
    reception.drain()
    return { handled, busy }
  }

  /** The handler has returned: closes the connection. During a drain, the client's requests are answered first. */
  finish(): void {
    const answered = this.draining ? this.#owner.reception.answered() : undefined
    if (answered === undefined) this.#owner.closeWith(this.draining ? CLOSE.restart : CLOSE.done)
    else void answered.then(() => this.#owner.closeWith(CLOSE.restart))
  }

  /** Aborts the signal. */
  abort(): void {
    this.#isAborted = true
    this.#controller?.abort()
  }
}
