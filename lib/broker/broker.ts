import type { Position } from '../protocol/position.ts'

/**
 * The broker contract: what carries a publication from the node that publishes to every node with a subscriber.
 *
 * Two implementations keep it, `MemoryBroker` (one process) and `RedisBroker`, and one suite
 * (`test/broker/contract.ts`) runs over both. What a broker promises, per channel and epoch:
 *
 * - **Order.** Publications reach `listener.publication` in the order of their offsets. A broker may lose or repeat
 *   one (a dropped connection to Redis does); it never reorders. Whoever listens checks `offset === last + 1`.
 * - **Order of the calls.** What one node publishes to one channel is added in the order in which it called `publish`,
 *   whether it waits for the answers or not.
 * - **Offsets.** With a `history` policy, offsets are 1, 2, 3… per channel and epoch. Without one, `offset` is 0 and
 *   `epoch` is `''`: such a publication is delivered at most once and can't be recovered.
 * - **Epochs.** A history that was lost, trimmed of its counter or rolled back gets a new epoch. The same epoch and
 *   offset never name two payloads. A new epoch may keep the publications that survived, with their offsets, and go on
 *   from there: compare the epoch first, and don't expect its first offset to be 1.
 * - **Idempotency.** Two publishes with one `idempotencyKey` on one channel add one publication; the second answers
 *   with the first's position and `duplicate: true`. With other data the second rejects with `FST_RT_CONFLICT`. The
 *   key belongs to the channel: whoever wants it to belong to a user puts the user into it. If keys are lost before
 *   their time, a retry adds a second publication, but never to the same epoch: the new epoch begins with no history.
 *
 * The caller, in turn, subscribes a channel once (it counts its own local subscribers), passes names that
 * `assertChannelName` accepted, and hands over `data` that is one valid JSON text in UTF-8
 * without a line feed.
 *
 * Every method rejects with a coded error (`FST_RT_UNAVAILABLE` where the broker can't be reached,
 * `FST_RT_UNKNOWN_OUTCOME` where a publish may or may not have happened) and never throws synchronously.
 */

/** How much of a channel is kept. If one of the bounds is passed, the oldest publications go first. */
export interface HistoryPolicy {
  /** Publications, 1 to 100,000. */
  readonly size: number
  /** Milliseconds that a publication is kept, 1,000 to 2,592,000,000. */
  readonly ttl: number
  /**
   * Bytes of `data` that are kept together, 1,024 to 1,073,741,824. The newest publication is kept even if it alone is
   * larger. A broker that gets a policy without it keeps any number of bytes: the default is filled in for what an
   * application declares.
   * @default 8388608
   */
  readonly maxBytes?: number
}

/** One message of a channel, as a broker carries it. */
export interface Publication extends Position {
  /** The payload: one JSON text in UTF-8, passed through byte for byte. */
  readonly data: Buffer
  /** Who published it (JSON text), for publications of a channel client. */
  readonly info?: Buffer
  /** The id of the connection that is not given it. Its offset counts for that connection too. */
  readonly except?: string
  /** When it was published, in milliseconds since 1970 by the publisher's clock; not on what is read from history. */
  readonly time?: number
  /** Milliseconds since it was added, by the broker's own clock; only on what `history` was asked to give with ages. */
  readonly age?: number
}

/** What a broker carries beside publications: who came and who went. Never in history, never with an offset. */
export type PresenceEventKind = 'join' | 'leave'

export interface BrokerPublishOptions {
  /** Keep the publication and give it an offset. */
  readonly history?: HistoryPolicy
  /** 1 to 255 bytes. Remembered for `idempotencyTtl`. */
  readonly idempotencyKey?: string
  /** Milliseconds; 300,000 unless told. */
  readonly idempotencyTtl?: number
  /** JSON text that describes the publisher. */
  readonly info?: Buffer
  /** The id of a connection that is not given the publication; 1 to 64 letters, digits, `_` and `-`. */
  readonly except?: string
}

export interface Published extends Position {
  /** True where the idempotency key had been seen: nothing was added. */
  readonly duplicate: boolean
}

export interface HistoryQuery {
  /**
   * Only publications after this one (before it, with `reverse`). The epoch is the caller's to compare. There is
   * nothing after an offset that is none (negative, broken, beyond 2⁵³) or lies in the future.
   */
  readonly since?: Position
  /** At most this many; 0 asks for the position alone. */
  readonly limit: number
  /** At most this many bytes of data together, or one publication that is larger. None: no limit. */
  readonly maxBytes?: number
  /** Newest first. */
  readonly reverse?: boolean
  /** Say how old each publication is. */
  readonly ages?: boolean
}

export interface HistoryPage {
  readonly publications: readonly Publication[]
  /** The channel's newest position. A channel without history yet gets its epoch here, with offset 0. */
  readonly position: Position
}

export interface PresenceEntry {
  /** The connection's id. */
  readonly connection: string
  readonly user: string
  /** JSON text as given to `addPresence`. */
  readonly info: Buffer
}

/** What the broker tells its node. Called synchronously, in order; the node guards these, they don't throw. */
export interface BrokerListener {
  publication(channel: string, publication: Publication): void
  presence(channel: string, kind: PresenceEventKind, info: Buffer): void
  /** A message of the channel could not be read: another version or another program sent it. */
  dropped(channel: string): void
  /**
   * The broker can be used, or can't. `cause` is safe to log. Called once per change: with true before `start`
   * resolves, with false before that only where the first attempt failed; not by `close`.
   */
  state(up: boolean, cause?: Error): void
  /**
   * A part of the broker, by its name, can be used again, or can't: publishes to the channels that it carries reject
   * with `FST_RT_UNAVAILABLE`, and those of the others go on. `cause` is safe to log. Called once per change, by a
   * broker that has more than one.
   */
  shard?(name: string, up: boolean, cause?: Error): void
  /** Publications of these channels may have been missed: compare positions with `history(channel, { limit: 0 })`. */
  audit(channels: Iterable<string>): void
}

export interface Broker {
  /** Connects. Resolves once usable, or rejects with a coded error where it can never be (credentials, ACL). */
  start(listener: BrokerListener): Promise<void>
  /** Usable at this moment. */
  readonly up: boolean
  /** Its parts by their names (`127.0.0.1:6379`), and whether each is usable; empty for a broker of one part. */
  readonly shards: ReadonlyMap<string, boolean>
  subscribe(channel: string): Promise<void>
  unsubscribe(channel: string): Promise<void>
  publish(channel: string, data: Buffer, options?: BrokerPublishOptions): Promise<Published>
  history(channel: string, query: HistoryQuery): Promise<HistoryPage>
  /**
   * Deletes the channel's history: it goes on at offset 0 of a new epoch. Every node with a subscriber is told to audit
   * it. Idempotency keys stay remembered.
   */
  removeHistory(channel: string): Promise<void>
  publishPresence(channel: string, kind: PresenceEventKind, info: Buffer): Promise<void>
  /** Adds or refreshes an entry, which is gone `ttl` milliseconds after its last refresh. */
  addPresence(channel: string, entry: PresenceEntry, ttl: number): Promise<void>
  removePresence(channel: string, connection: string): Promise<void>
  presence(channel: string): Promise<readonly PresenceEntry[]>
  presenceStats(channel: string): Promise<{ connections: number; users: number }>
  /**
   * Takes one of `limit` places named `key` (a user's connections) for `holder`, for `ttl` milliseconds unless
   * renewed by the same call. False: all are taken.
   */
  acquireLease(key: string, holder: string, limit: number, ttl: number): Promise<boolean>
  releaseLease(key: string, holder: string): Promise<void>
  /**
   * Takes up to `wanted` tokens from a cluster-wide bucket that gets `rate` a second and holds `burst`; says how many
   * were granted, and when the next can be had (milliseconds; 0 where all were granted).
   */
  takeTokens(
    key: string,
    wanted: number,
    bucket: { rate: number; burst: number }
  ): Promise<{ granted: number; retryAfter: number }>
  /** Releases what it holds; ends in bounded time whatever state the other side is in. */
  close(): Promise<void>
}
