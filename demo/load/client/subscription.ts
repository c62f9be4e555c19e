import type { Receipt } from '../measure/ledger.ts'
import type { Publisher } from '../measure/publisher.ts'

/** One connection's place in a channel or room (or, on an echo route, with itself). */
export class Subscription {
  /** Number of the channel or room. */
  readonly group: number
  /** The channel's name; empty for rooms, whose server knows it by the path. */
  readonly channel: string
  /** Up to where it got everything, where the channel has history. */
  offset = 0
  epoch = ''
  /** Until the messages begin there is nothing that it is due. */
  receipt: Receipt | undefined

  constructor(group: number, channel: string) {
    this.group = group
    this.channel = channel
  }

  /** Whether a server can be asked for what came after. */
  get hasPosition(): boolean {
    return this.epoch !== ''
  }
}

/** A message on its way out. */
export interface Outgoing {
  readonly publisher: Publisher
  readonly sequence: number
  readonly subscription: Subscription
  /** JSON. */
  readonly text: string
}
