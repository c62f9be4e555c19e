import type { Position } from '../protocol/position.ts'

/** How a socket's presence on a channel is described to others. */
export interface PresenceOptions {
  /** Describes the connection to the others on the channel (`chan_info`); a JSON value. */
  info?: unknown
}

export interface SubscribeOptions {
  /** Deliver the publications after this position first. */
  since?: Position | undefined
  /**
   * Whether the socket is in the channel's presence while it is subscribed, like a client of the channel protocol. If
   * the channel has `joinLeave`, the socket's join and leave are sent. The channel must be declared with `presence` or
   * `joinLeave`.
   * @default false
   */
  presence?: boolean | PresenceOptions | undefined
}

export interface SubscribeResult extends Position {
  /** True if `since` was given, and all publications after it are delivered. */
  readonly recovered: boolean
}
