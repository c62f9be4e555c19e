import type { Disconnect } from '../protocol/disconnect-codes.ts'

/** A point in time: the number of requests until then, and the time. */
export interface DismissalMark {
  readonly count: number
  readonly at: number
}

interface Timestamped {
  readonly at: number
}

interface Recorded extends Timestamped {
  /** The number of the request, counted from 1. */
  readonly number: number
  readonly madeAt: number
}

interface Dismissal extends Recorded {
  readonly disconnect: Disconnect
}

interface Change extends Recorded {
  readonly apply: (connection: string) => void
}

/** The other requests for the connections of one user, by kind. */
interface Changes extends Timestamped {
  readonly byKind: Map<string, Change>
}

/**
 * Recent requests to disconnect a user, and other requests for all connections of a user. Such a request is applied to
 * the connections that are open at that moment. A handshake in progress opens its connection later. Before it does, it
 * asks this class whether its user was disconnected since the handshake began, and which other requests to apply. For a
 * token that a client sends after its handshake, the verification of the token takes the place of the handshake.
 */
export class Dismissals {
  readonly #now: () => number
  readonly #keep: number
  /** The latest dismissal of each user. The oldest comes first. */
  readonly #users = new Map<string, Dismissal>()
  /** The latest change of each kind, by user. The user with the oldest change comes first. */
  readonly #changes = new Map<string, Changes>()
  #count = 0
  #latest = Number.NEGATIVE_INFINITY

  /** @param keep Maximum duration of a handshake, or of the verification of a later token, in milliseconds. */
  constructor(now: () => number, keep: number) {
    this.#now = now
    this.#keep = keep
  }

  /** Returns the current mark. A handshake, or the verification of a later token, stores it when it begins. */
  mark(): DismissalMark {
    this.#latest = this.#now()
    return { count: this.#count, at: this.#latest }
  }

  /** When the latest mark was made. -Infinity if there was none. */
  get latest(): number {
    return this.#latest
  }

  /**
   * Records that this node, or another one, disconnects a user.
   * @param madeAt When the request was made. It does not affect handshakes that began later.
   */
  dismiss(user: string, { code, reason }: Disconnect, madeAt: number): void {
    this.#keepLatest(this.#users, user, { disconnect: { code, reason }, ...this.#record(madeAt) })
  }

  /**
   * Records another request for all connections of a user. The latest request of each kind counts.
   * @param apply Applies the request to one connection.
   */
  change(user: string, kind: string, apply: (connection: string) => void, madeAt: number): void {
    const { byKind } = this.#changes.get(user) ?? { byKind: new Map() }
    const change = { apply, ...this.#record(madeAt) }
    this.#keepLatest(byKind, kind, change)
    this.#keepLatest(this.#changes, user, { byKind, at: change.at })
  }

  /** The code and reason with which a user was disconnected since this mark. Undefined if the user was not. */
  since(mark: DismissalMark, user: string): Disconnect | undefined {
    const dismissal = this.#users.get(user)
    return dismissal !== undefined && appliesTo(dismissal, mark) ? dismissal.disconnect : undefined
  }

  /**
   * Applies the other requests since this mark to a connection of the user that is about to open. This happens after
   * the current turn of the event loop, because the connection's handler has started by then.
   */
  catchUp(mark: DismissalMark, user: string, connection: string): void {
    for (const change of this.#changes.get(user)?.byKind.values() ?? []) {
      if (appliesTo(change, mark)) setImmediate(change.apply, connection)
    }
  }

  #record(madeAt: number): Recorded {
    return { number: ++this.#count, at: this.#now(), madeAt }
  }

  #keepLatest<Kind extends Timestamped>(records: Map<string, Kind>, key: string, latest: Kind): void {
    for (const [old, { at }] of records) {
      if (at + this.#keep >= latest.at) break
      records.delete(old)
    }
    records.delete(key)
    records.set(key, latest)
  }
}

function appliesTo({ number, madeAt }: Recorded, { count, at }: DismissalMark): boolean {
  return number > count && at <= madeAt
}
