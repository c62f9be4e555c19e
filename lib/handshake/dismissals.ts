import type { Disconnect } from '../protocol/disconnect-codes.ts'

/** A point in time: how many dismissals there had been, and when it was. */
export interface Mark {
  readonly count: number
  readonly at: number
}

interface Dismissal {
  readonly disconnect: Disconnect
  /** Which one it was, counted from 1. */
  readonly number: number
  readonly at: number
  readonly madeAt: number
}

/**
 * Users that were disconnected lately. A request to disconnect a user finds the connections that are open. A handshake
 * that is under way at that moment opens afterwards: before it does, it asks here whether its user was disconnected
 * since its credentials began to be verified.
 */
export class Dismissals {
  readonly #now: () => number
  readonly #keep: number
  /** The latest of each user, the oldest first. */
  readonly #users = new Map<string, Dismissal>()
  #count = 0
  #latest = Number.NEGATIVE_INFINITY

  /** @param keep Milliseconds that a verification and the rest of a handshake take at most. */
  constructor(now: () => number, keep: number) {
    this.#now = now
    this.#keep = keep
  }

  /** What to remember when credentials begin to be verified. */
  mark(): Mark {
    this.#latest = this.#now()
    return { count: this.#count, at: this.#latest }
  }

  /** When the latest mark was made; -Infinity if there was none. */
  get latest(): number {
    return this.#latest
  }

  /**
   * A user is disconnected, by this node or by another.
   * @param madeAt When the request was made. It is not for handshakes that began after it.
   */
  dismiss(user: string, { code, reason }: Disconnect, madeAt: number): void {
    const at = this.#now()
    for (const [old, dismissal] of this.#users) {
      if (dismissal.at + this.#keep >= at) break
      this.#users.delete(old)
    }
    this.#users.delete(user)
    this.#users.set(user, { disconnect: { code, reason }, number: ++this.#count, at, madeAt })
  }

  /** What a user was disconnected with since that mark; undefined if the user was not. */
  since({ count, at }: Mark, user: string): Disconnect | undefined {
    const dismissal = this.#users.get(user)
    return dismissal !== undefined && dismissal.number > count && at <= dismissal.madeAt
      ? dismissal.disconnect
      : undefined
  }
}
