import type { Position } from './position.ts'
import type { Tags } from './tags.ts'

/**
 * The results of the commands of the channel protocol, independent of their encoding. Payloads (`data`, and the
 * description of a client) are JSON texts already.
 */

export interface ClientInfo {
  readonly user: string
  /** The connection's id. */
  readonly client: string
  /** The info of the connection, from its token or from `onConnect`. JSON text. */
  readonly connection?: string
  /** The info of the subscription, from the application. JSON text. */
  readonly channel?: string
}

/** A publication in a reply or a push. */
export interface ReplyPublication {
  /** A JSON text, or bytes. */
  readonly data: Buffer
  /** True if the data is bytes. */
  readonly binary?: true
  readonly offset: number
  readonly info?: Buffer
  readonly tags?: Tags
  /**
   * Set for a client that takes deltas on the channel: a Fossil delta to the publication before, which is sent instead
   * of `data`, or `whole`. Over JSON, such a client receives both as a string.
   */
  readonly delta?: Buffer | 'whole'
}

export interface Expiry {
  /** Seconds until the client must send a new token. Undefined if it does not have to. */
  readonly ttl: number | undefined
}

export interface SubscribeReply extends Expiry {
  /** Set for a channel with history: after a reconnect the client can recover from this position. */
  readonly position: Position | undefined
  /** `none` if the client did not request the publications that it missed, `done` if it gets all of them. */
  readonly recovery: 'none' | 'failed' | 'done'
  readonly publications: readonly ReplyPublication[]
  /** The client receives deltas. */
  readonly delta?: boolean
  /** JSON text. */
  readonly data: string | undefined
}

export interface ConnectResult extends Expiry {
  readonly client: string
  readonly version: string
  /** The server sends a ping at least every so many seconds. */
  readonly ping: number
  /** JSON text. */
  readonly data: string | undefined
  /** The results of subscriptions that the server made, by channel. */
  readonly subs: ReadonlyMap<string, SubscribeReply>
  /** What the client names in its later requests, if its transport is HTTP. */
  readonly session?: string | undefined
  /** The node that holds the session. */
  readonly node?: string | undefined
}

export interface RefreshResult extends Expiry {
  readonly client: string
  readonly version: string
}

export interface HistoryResult {
  readonly publications: readonly ReplyPublication[]
  readonly position: Position
}

export interface PresenceResult {
  /** The description of each connection, by the connection's id. JSON texts. */
  readonly clients: readonly (readonly [connection: string, info: Buffer])[]
}

export interface PresenceStatsResult {
  readonly clients: number
  readonly users: number
}

export interface RpcResult {
  /** JSON text. */
  readonly data: string
}

/** The result of a command that only confirms. */
type Nothing = Readonly<Record<never, never>>

/** The result of each command that has one. */
export interface ResultsByCommand {
  readonly connect: ConnectResult
  readonly subscribe: SubscribeReply
  readonly unsubscribe: Nothing
  readonly publish: Nothing
  readonly presence: PresenceResult
  readonly presence_stats: PresenceStatsResult
  readonly history: HistoryResult
  readonly ping: Nothing
  readonly send: Nothing
  readonly rpc: RpcResult
  readonly refresh: RefreshResult
  readonly sub_refresh: Expiry
}
