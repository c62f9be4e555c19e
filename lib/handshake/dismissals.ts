import type { Disconnect } from '../protocol/disconnect-codes.ts'

/** A point in time: how many dismissals there had been, and when it was. */
export interface DismissalMark {
  readonly count: number
  readonly at: number
}

interface Dated {
  readonly at: number
}

interface Noted extends Dated {
  /** Which request it was, counted from 1. */
  readonly number: number
  readonly madeAt: number
}

interface Dismissal extends Noted {
  readonly disconnect: Disconnect
}

interface Change extends Noted {
  readonly apply: (connection: string) => void
}

/** What else was done to one user's connections, by kind. */
interface Changes extends Dated {
  readonly byKind: Map<string, Change>
}

/**
 * Users that were disconnected lately, and other changes to a user's connections. Such a request finds the connections
 * that are open. A handshake that is under way at that moment opens afterwards: before it does, it asks here whether its
 * user was disconnected since it began, and what else is to be done to it. A token that comes later counts from when its
 * verification began.
 */
export class Dismissals {
  readonly #now: () => number
  readonly #keep: number
  /** The latest of each user, the oldest first. */
  readonly #users = new Map<string, Dismissal>()
  /** The latest of each kind, for each user; the oldest first. */
  readonly #changes = new Map<string, Changes>()
  #count = 0
  #latest = Number.NEGATIVE_INFINITY

  /** @param keep Milliseconds that a handshake, or the verification of a later token, takes at most. */
  constructor(now: () => number, keep: number) {
    this.#now = now
    this.#keep = keep
  }

  /** What to remember when a handshake begins, or when a token that comes after it begins to be verified. */
  mark(): DismissalMark {
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
    this.#keepLatest(this.#users, user, { disconnect: { code, reason }, ...this.#note(madeAt) })
  }

  /**
   * Something else is done to all connections of a user. Of each kind the latest counts.
   * @param apply Does it to one connection.
   */
  change(user: string, kind: string, apply: (connection: string) => void, madeAt: number): void {
    const { byKind } = this.#changes.get(user) ?? { byKind: new Map() }
    const change = { apply, ...this.#note(madeAt) }
    this.#keepLatest(byKind, kind, change)
    this.#keepLatest(this.#changes, user, { byKind, at: change.at })
  }

  /** What a user was disconnected with since that mark; undefined if the user was not. */
  since(mark: DismissalMark, user: string): Disconnect | undefined {
    const dismissal = this.#users.get(user)
    return dismissal !== undefined && concerns(dismissal, mark) ? dismissal.disconnect : undefined
  }

  /**
   * A connection becomes a user's. What was to be done to the user's connections since that mark is done to it once this
   * turn of the event loop is over: then its handler has begun.
   */
  catchUp(mark: DismissalMark, user: string, connection: string): void {
    for (const change of this.#changes.get(user)?.byKind.values() ?? []) {
      if (concerns(change, mark)) setImmediate(change.apply, connection)
    }
  }

  #note(madeAt: number): Noted {
    return { number: ++this.#count, at: this.#now(), madeAt }
  }

  #keepLatest<Kind extends Dated>(noted: Map<string, Kind>, key: string, latest: Kind): void {
    for (const [old, { at }] of noted) {
      if (at + this.#keep >= latest.at) break
      noted.delete(old)
    }
    noted.delete(key)
    noted.set(key, latest)
  }
}

function concerns({ number, madeAt }: Noted, { count, at }: DismissalMark): boolean {
  return number > count && at <= madeAt
}
