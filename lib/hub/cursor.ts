import type { Publication } from '../broker/broker.ts'
import type { Outbox } from '../connection/outbox.ts'
import type { Batch } from '../connection/turn.ts'
import type { Position } from '../protocol/position.ts'
import type { SubscribeResult } from './subscribe-options.ts'

/** What can be subscribed to a channel: a connection, or the session on it. */
export interface Subscriber {
  readonly outbox: Outbox
  readonly closed: boolean
  /** Channels that it may be subscribed to at a time. */
  readonly maxSubscriptions: number
  /** The subscriber has caused so many bytes of history to be sent. Absent if nothing counts them. */
  spend?(bytes: number): void
  /** Publications of the channel were lost and are no longer available: the subscriber goes on from `position`. */
  insufficientState(channel: string, position: Position): void
}

/** One publication, encoded. It has no frame for the subscriber that is excepted from it, and goes on behind it. */
export interface Encoded {
  readonly offset: number
  readonly frame: Buffer | undefined
}

/** The live subscribers of the channel that get its publications in the same format. */
export interface CursorFeed extends Batch {
  /** The channel's name. */
  readonly channel: string
  encode(publication: Publication): Buffer
  join(cursor: StreamCursor): void
  leave(cursor: StreamCursor): void
  drop(cursor: StreamCursor): void
}

const NOT_LIVE = -1
const ENDED = -2

/**
 * One subscriber's place in one channel, from the call that subscribes it to its end. While the channel is being opened
 * the cursor is given nothing. Then it is in one of five states:
 *
 * | state   | fields           | what is published                   | next state                                   |
 * | ------- | ---------------- | ----------------------------------- | -------------------------------------------- |
 * | joining | `buffer`         | is buffered                         | beside, once it was given what it missed;    |
 * |         |                  |                                     | behind, if its reader became slow meanwhile; |
 * |         |                  |                                     | moved, if the node finds a hole              |
 * | moved   | `buffer`, `hole` | is buffered, from the hole on       | joining, if its history is read again;       |
 * |         |                  |                                     | beside, once the hole is declared to it      |
 * | beside  | none             | is given if newer than its `offset` | live, once it is level with the node         |
 * | live    | `place`          | is given by the feed, as to all     | behind, if its reader is slow and the        |
 * |         |                  |                                     | channel has a history                        |
 * | behind  | `behind`         | is left to history                  | joining, once its reader takes more          |
 *
 * A hole that the node finds is declared at once to a cursor without a buffer. If `behind` is set while there is a
 * buffer, the cursor is still joining, and becomes behind when that is over.
 */
export class StreamCursor {
  readonly subscriber: Subscriber
  readonly feed: CursorFeed
  /** Pending while the subscription is being made. */
  joined: Promise<SubscribeResult> | undefined
  /** The feed's own: the cursor's place among the live ones. */
  place = NOT_LIVE
  /** While it is not live: the last offset that it was given, and its epoch. The channel's may be newer by now. */
  offset = 0
  epoch = ''
  /** What was published since the cursor began to join. */
  buffer: Encoded[] | undefined
  /** Its reader is slow: it will be served from history. */
  behind = false
  /** Publications were lost while it was joining: it goes on from here. */
  hole: Position | undefined

  constructor(subscriber: Subscriber, feed: CursorFeed) {
    this.subscriber = subscriber
    this.feed = feed
  }

  get live(): boolean {
    return this.place >= 0
  }

  /** True once the subscription is over. The subscriber may have another one by then. */
  get ended(): boolean {
    return this.place === ENDED
  }

  /** The subscription is over. */
  end(): void {
    this.feed.leave(this)
    this.place = ENDED
  }

  /** The feed has taken it out of the live ones. */
  dropped(): void {
    this.place = NOT_LIVE
  }

  /** Takes a publication that comes while it is not live. */
  take(encoded: Encoded): void {
    if (this.behind) return
    if (this.buffer !== undefined) this.buffer.push(encoded)
    else this.#giveNew(encoded)
  }

  /** Gives what was buffered and is newer than what was given. */
  release(): void {
    const buffer = this.buffer as Encoded[]
    this.buffer = undefined
    for (const encoded of buffer) this.#giveNew(encoded)
  }

  /** A publication without a position is always new. */
  #giveNew(encoded: Encoded): void {
    if (encoded.offset === 0 || encoded.offset > this.offset) this.give(encoded)
  }

  /** It goes on from there. */
  moveTo({ offset, epoch }: Position): void {
    this.offset = offset
    this.epoch = epoch
  }

  /** Publications before this position are lost: tells the subscriber that it goes on from there. */
  declareHole({ offset, epoch }: Position): void {
    this.hole = undefined
    this.moveTo({ offset, epoch })
    this.subscriber.insufficientState(this.feed.channel, { offset, epoch })
  }

  give({ frame, offset }: Encoded): void {
    if (frame !== undefined) this.subscriber.outbox.send(frame)
    if (offset > 0) this.offset = offset
  }
}
