import type { Position } from '../protocol/position.ts'
import type { Tags } from '../protocol/tags.ts'

/**
 * The broker contract. A broker carries publications from the node that publishes to every node with a subscriber.
 *
 * There are two implementations, `MemoryBroker` (one process) and `RedisBroker`. One test suite
 * (`test/broker/contract.ts`) runs over both. A broker promises, per channel and epoch:
 *
 * - **Order.** Publications reach `listener.publication` in the order of their offsets. A broker may lose or repeat
 *   a publication (for example, when the connection to Redis drops), but it never reorders them. The listener checks
 *   `offset === last + 1`.
 * - **Order of the calls.** If one node publishes several times to one channel, the publications are added in the order
 *   of the calls to `publish`. The node does not have to wait for the answers.
 * - **Offsets.** With a `history` policy, offsets are 1, 2, 3… per channel and epoch. Without one, `offset` is 0 and
 *   `epoch` is `''`: such a publication is delivered at most once and can't be recovered.
 * - **Epochs.** If a history is lost, loses its counter or is rolled back, it gets a new epoch. The same epoch and
 *   offset never name two payloads. A new epoch may keep the publications that survived, with their offsets, and
 *   continue from there: compare the epoch first, and don't expect its first offset to be 1.
 * - **Idempotency.** Two publishes with one `idempotencyKey` on one channel add one publication. The second resolves
 *   with the position of the first and `duplicate: true`. If its data differs, it rejects with `FST_RT_CONFLICT`. The
 *   key belongs to the channel. To make it belong to a user, put the user into the key. If keys are lost before they
 *   expire, a retry adds a second publication, but never to the same epoch: the new epoch begins with no history.
 *
 * The caller promises three things. It subscribes a channel once (it counts its own local subscribers). It passes names
 * that `assertChannelName` accepted. Its `data` is one valid JSON text in UTF-8 without a line feed, or any bytes with
 * the option `binary`.
 *
 * Every method rejects with a coded error and never throws synchronously: `FST_RT_UNAVAILABLE` if the broker can't be
 * reached, `FST_RT_UNKNOWN_OUTCOME` if a publish may or may not have happened.
 */

/** How much of a channel is kept. If one of the bounds is exceeded, the oldest publications are dropped first. */
export interface HistoryPolicy {
  /** Publications, 1 to 100,000. */
  readonly size: number
  /** Milliseconds that a publication is kept, 1,000 to 2,592,000,000. */
  readonly ttl: number
  /**
   * Maximum bytes of `data` that are kept in all, 1,024 to 1,073,741,824. The newest publication is kept even if it
   * alone is larger. A broker that gets a policy without `maxBytes` keeps any number of bytes: the default is only
   * filled in for a policy that an application declares.
   * @default 8388608
   */
  readonly maxBytes?: number
}

/** One message of a channel, as a broker carries it. */
export interface Publication extends Position {
  /** The payload: one JSON text in UTF-8, or any bytes if `binary` is true. Passed through byte for byte. */
  readonly data: Buffer
  /** True if the payload was published as bytes. Otherwise not set. */
  readonly binary?: true
  /** Describes the publisher (JSON text), for publications of a channel client. */
  readonly info?: Buffer
  /** The id of the connection that does not receive the publication. The offset counts for that connection too. */
  readonly except?: string
  /** Texts that filters of subscribers compare. */
  readonly tags?: Tags
  /** Time of the publish, in milliseconds since 1970 by the publisher's clock. Not set if it was read from history. */
  readonly time?: number
  /** Milliseconds since it was added, by the broker's own clock. Only set by `history` with the option `ages`. */
  readonly age?: number
}

/** A client has joined or left a channel. Such an event is never in history and never has an offset. */
export type PresenceEventKind = 'join' | 'leave'

export interface BrokerPublishOptions {
  /** Keep the publication and give it an offset. */
  readonly history?: HistoryPolicy
  /** 1 to 255 bytes. Remembered for `idempotencyTtl`. */
  readonly idempotencyKey?: string
  /** Milliseconds. @default 300_000 */
  readonly idempotencyTtl?: number
  /** The data is bytes, and not a JSON text. @default false */
  readonly binary?: boolean
  /** JSON text that describes the publisher. */
  readonly info?: Buffer
  /** The id of a connection that does not receive the publication: 1 to 64 letters, digits, `_` and `-`. */
  readonly except?: string
  /** Within the bounds `MAX_TAGS`. They do not count as `data`: not for an idempotency key, and not for `maxBytes`. */
  readonly tags?: Tags
}

export interface Published extends Position {
  /** True if the idempotency key was already used: nothing was added. */
  readonly duplicate: boolean
}

export interface HistoryQuery {
  /**
   * Only publications after this position (before it, with `reverse`). The caller compares the epoch. The page is empty
   * if the offset is not valid (negative, not whole, beyond 2⁵³) or in the future.
   */
  readonly since?: Position
  /** Maximum number of publications. 0 asks for the position alone. */
  readonly limit: number
  /** Maximum bytes of data in all, or one publication that is larger. Undefined: no limit. */
  readonly maxBytes?: number
  /** Newest first. */
  readonly reverse?: boolean
  /** Give the `age` of each publication. */
  readonly ages?: boolean
}

export interface HistoryPage {
  readonly publications: readonly Publication[]
  /** The channel's newest position. A channel without history yet gets its epoch here, with offset 0. */
  readonly position: Position
  /**
   * How many publications the history has. Set if `limit` is 0. Redis may still count some that have just expired.
   */
  readonly size?: number
}

export interface PresenceEntry {
  /** The connection's id. */
  readonly connection: string
  readonly user: string
  /** JSON text as given to `addPresence`. */
  readonly info: Buffer
}

/** Events that the broker reports to its node. Called synchronously, in order. The node makes sure they don't throw. */
export interface BrokerListener {
  publication(channel: string, publication: Publication): void
  presence(channel: string, kind: PresenceEventKind, info: Buffer): void
  /** A message of the channel could not be read: another version or another program sent it. */
  dropped(channel: string): void
  /**
   * The broker has become usable or unusable. `cause` is safe to log. Called once per change, with true before `start`
   * resolves. Before that it is called with false only if the first attempt failed. `close` does not call it.
   */
  state(up: boolean, cause?: Error): void
  /**
   * One shard of the broker has become usable or unusable. While it is unusable, publishes to its channels reject with
   * `FST_RT_UNAVAILABLE`; channels of other shards are not affected. `cause` is safe to log. Called once per change, by
   * a broker that has more than one shard.
   */
  shard?(name: string, up: boolean, cause?: Error): void
  /** Publications of these channels may have been missed: compare positions with `history(channel, { limit: 0 })`. */
  audit(channels: Iterable<string>): void
}

export interface Broker {
  /** Connects. Resolves once usable. Rejects with a coded error if it can never become usable (credentials, ACL). */
  start(listener: BrokerListener): Promise<void>
  /** Usable at this moment. */
  readonly up: boolean
  /** Its shards by their names (`127.0.0.1:6379`), and whether each is usable. Empty for a broker with one shard. */
  readonly shards: ReadonlyMap<string, boolean>
  subscribe(channel: string): Promise<void>
  unsubscribe(channel: string): Promise<void>
  publish(channel: string, data: Buffer, options?: BrokerPublishOptions): Promise<Published>
  history(channel: string, query: HistoryQuery): Promise<HistoryPage>
  /**
   * Deletes the channel's history. The channel continues at offset 0 of a new epoch. Every node with a subscriber is
   * asked to audit the channel. Idempotency keys stay remembered.
   */
  removeHistory(channel: string): Promise<void>
  publishPresence(channel: string, kind: PresenceEventKind, info: Buffer): Promise<void>
  /** Adds or refreshes an entry. It expires `ttl` milliseconds after its last refresh. */
  addPresence(channel: string, entry: PresenceEntry, ttl: number): Promise<void>
  removePresence(channel: string, connection: string): Promise<void>
  presence(channel: string): Promise<readonly PresenceEntry[]>
  presenceStats(channel: string): Promise<{ connections: number; users: number }>
  /**
   * Takes one of the `limit` places of `key` (a user's connections) for `holder`. The place is released after `ttl`
   * milliseconds, unless the same call renews it. Resolves with false if all places are taken.
   */
  acquireLease(key: string, holder: string, limit: number, ttl: number): Promise<boolean>
  releaseLease(key: string, holder: string): Promise<void>
  /**
   * Takes up to `wanted` tokens from a cluster-wide bucket that gets `rate` tokens a second and holds `burst`. Resolves
   * with the number of tokens granted, and with the milliseconds until the next token (0 if all were granted).
   */
  takeTokens(
    key: string,
    wanted: number,
    bucket: { rate: number; burst: number }
  ): Promise<{ granted: number; retryAfter: number }>
  /** Releases all resources. Finishes in bounded time, even if the other side does not answer. */
  close(): Promise<void>
}
