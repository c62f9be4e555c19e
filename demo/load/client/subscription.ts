import type { Receipt } from '../measure/ledger.ts'
import type { Publisher } from '../measure/publisher.ts'

/** One connection's subscription of a channel or room (or, on an echo route, of itself). */
export class Subscription {
  /** Number of the channel or room. */
  readonly group: number
  /** The channel's name; empty for rooms, which the server knows by the path. */
  readonly channel: string
  /** The position up to which it has everything, if the channel has history. */
  offset = 0
  epoch = ''
  /** Until the messages begin nothing is due to it. */
  receipt: Receipt | undefined

  constructor(group: number, channel: string) {
    this.group = group
    this.channel = channel
  }

  /** Whether a server can be asked for later messages. */
  get hasPosition(): boolean {
    return this.epoch !== ''
  }
}

/** A message to be sent. */
export interface Outgoing {
  readonly publisher: Publisher
  readonly sequence: number
  readonly subscription: Subscription
  /** JSON. */
  readonly text: string
}
