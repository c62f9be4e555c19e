import type { Ending } from '../connection/connection.ts'
import { CLOSE, type CloseCode } from '../protocol/close-codes.ts'
import { guardedController } from './guarded-signal.ts'

/** What the departure needs of its socket. */
export interface DepartureOwner {
  readonly reception: DepartureReception
  closeWith(close: Pick<CloseCode, 'code' | 'reason'>): void
  listenerFailed(event: string, thrown: unknown): void
}

/** What the departure needs of what comes from the peer. */
export interface DepartureReception {
  /** Whether the handler is in the middle of a message; undefined if it takes none from there. */
  readonly busy: boolean | undefined
  /** Resolves once the client's requests are answered; undefined if there are none. */
  answered(): Promise<void> | undefined
  /** Takes what is on its way, and nothing after it. */
  sayFarewell(): void
}

/** Asks the handler of a connection to end, and closes the connection after it. */
export class Departure {
  readonly #owner: DepartureOwner
  #abort: AbortController | undefined
  #isAborted: boolean
  /** The connection's turn in a drain has come. */
  draining = false

  /** @param isClosed The connection has ended, so the signal is aborted from the start. */
  constructor(owner: DepartureOwner, isClosed: boolean) {
    this.#owner = owner
    this.#isAborted = isClosed
  }

  /** Aborts when the connection ends, or when its turn comes in a drain. */
  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = guardedController((thrown) => this.#owner.listenerFailed('abort', thrown))
      if (this.#isAborted) this.#abort.abort()
    }
    return this.#abort.signal
  }

  /** The connection's turn in a drain: the handler is asked to end. `handling` settles once it has. */
  drain(handling: Promise<void> | undefined): Ending {
    const { reception } = this.#owner
    const answered = reception.answered()
    const handled = answered === undefined ? handling : Promise.all([handling, answered])
    const busy = answered !== undefined || (reception.busy ?? handled !== undefined)
    this.draining = true
    this.end()
    reception.sayFarewell()
    return { handled, busy }
  }

  /** The handler has returned: its connection is done. */
  finish(): void {
    const answered = this.draining ? this.#owner.reception.answered() : undefined
    if (answered === undefined) this.#owner.closeWith(this.draining ? CLOSE.restart : CLOSE.done)
    else void answered.then(() => this.#owner.closeWith(CLOSE.restart))
  }

  /** The handler is to end: the connection has ended, or its turn in a drain has come. */
  end(): void {
    this.#isAborted = true
    this.#abort?.abort()
  }
}
