import type { Position } from '../protocol/position.ts'

/** How a socket's presence on a channel looks to others. */
export interface PresenceOptions {
  /** Describes the connection to the others on the channel (`chan_info`); a JSON value. */
  info?: unknown
}

export interface SubscribeOptions {
  /** Deliver first what was published after this position. */
  since?: Position | undefined
  /**
   * Whether the socket is in the channel's presence, as a client of the channel protocol is, and is announced if the
   * channel has `joinLeave`: from the subscription until its end. The channel must be declared with one of them.
   * @default false
   */
  presence?: boolean | PresenceOptions | undefined
}

export interface SubscribeResult extends Position {
  /** True if `since` was given and everything after it has been delivered. */
  readonly recovered: boolean
}
