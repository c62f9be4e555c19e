import type { Publication } from '../broker/broker.ts'
import type { Outbox } from '../connection/outbox.ts'
import type { Batch } from '../connection/turn.ts'
import type { Position } from '../protocol/position.ts'
import type { TagsFilter } from '../protocol/tags-filter.ts'
import type { SubscribeResult } from './subscribe-options.ts'

/** A connection that can be subscribed to a channel, or the session on it. */
export interface Subscriber {
  readonly outbox: Outbox
  readonly closed: boolean
  /** How many channels it may be subscribed to at a time. */
  readonly maxSubscriptions: number
  /** The subscriber has caused so many bytes of history to be sent. Absent if these bytes are not counted. */
  spend?(bytes: number): void
  /** Publications of the channel were missed and are no longer available. The subscriber continues after `position`. */
  insufficientState(channel: string, position: Position): void
}

/** One encoded publication. It has no frame if the subscriber does not receive it: then only the offset advances. */
export interface Encoded {
  readonly offset: number
  readonly frame: Buffer | undefined
}

/** The live subscribers of a channel that receive its publications in the same format. */
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
 * One subscriber's position in one channel, from the call that subscribes it until the subscription ends. While the
 * node is opening the channel, the cursor receives nothing. Then the cursor is in one of five states:
 *
 * | state   | fields          | a new publication                 | next state                                        |
 * | ------- | --------------- | --------------------------------- | ------------------------------------------------- |
 * | joining | `buffer`        | is buffered                       | ahead, once it was sent what it had missed;       |
 * |         |                 |                                   | behind, if its reader has become slow meanwhile;  |
 * |         |                 |                                   | gap, if the node finds a gap                      |
 * | gap     | `buffer`, `gap` | is buffered, if it is past the    | joining, if history is read again for the cursor; |
 * |         |                 | gap                               | ahead, once the gap is declared to the subscriber |
 * | ahead   | none            | is sent if newer than its         | live, once the node has reached its `offset`      |
 * |         |                 | `offset`                          |                                                   |
 * | live    | `place`         | is sent by the feed               | behind, if its reader is slow and the channel has |
 * |         |                 |                                   | a history                                         |
 * | behind  | `behind`        | is read from history later        | joining, once its reader has caught up            |
 *
 * If the node finds a gap and the cursor has no buffer, the gap is declared at once. If `behind` is set while there is
 * a buffer, the cursor is still joining, and will be behind afterwards.
 */
export class StreamCursor {
  readonly subscriber: Subscriber
  readonly feed: CursorFeed
  /** The subscriber receives only what passes. */
  readonly filter: TagsFilter | undefined
  /** Settles once the subscription is made. Undefined afterwards. */
  joined: Promise<SubscribeResult> | undefined
  /** The cursor's index among the feed's live cursors, or NOT_LIVE or ENDED. */
  place = NOT_LIVE
  /** The last offset that was sent, if the cursor is not live. The channel's may be newer by now. */
  offset = 0
  /** The epoch of `offset`. */
  epoch = ''
  /** The publications that came since the cursor began to join. */
  buffer: Encoded[] | undefined
  /** The reader is slow: history will be read for it later. */
  behind = false
  /** Publications were lost while the cursor was joining. It continues after this position. */
  gap: Position | undefined
  /** The subscriber has the publication that the feed's next delta refers to. Only if the cursor is live. */
  hasBase = false

  constructor(subscriber: Subscriber, feed: CursorFeed, filter?: TagsFilter) {
    this.subscriber = subscriber
    this.feed = feed
    this.filter = filter
  }

  /** Whether the filter lets a publication pass. */
  accepts({ tags }: Publication): boolean {
    return this.filter === undefined || this.filter(tags)
  }

  get live(): boolean {
    return this.place >= 0
  }

  /** True once the subscription has ended. The subscriber may have made a new one since. */
  get ended(): boolean {
    return this.place === ENDED
  }

  /** Ends the subscription. */
  end(): void {
    this.feed.leave(this)
    this.place = ENDED
  }

  /** The feed has removed the cursor from the live ones. */
  dropped(): void {
    this.place = NOT_LIVE
    this.hasBase = false
  }

  /** A publication came while the cursor is not live. */
  receive(encoded: Encoded): void {
    if (this.behind) return
    if (this.buffer !== undefined) this.buffer.push(encoded)
    else this.#sendIfNew(encoded)
  }

  /** Sends the buffered publications that are newer than the last one that was sent. */
  flushBuffer(): void {
    const buffer = this.buffer as Encoded[]
    this.buffer = undefined
    for (const encoded of buffer) this.#sendIfNew(encoded)
  }

  /** A publication without a position is always new. */
  #sendIfNew(encoded: Encoded): void {
    if (encoded.offset === 0 || encoded.offset > this.offset) this.send(encoded)
  }

  /** The cursor continues after a position. */
  moveTo({ offset, epoch }: Position): void {
    this.offset = offset
    this.epoch = epoch
  }

  /** Publications up to this position are lost: the cursor continues after it, and the subscriber is informed. */
  declareGap({ offset, epoch }: Position): void {
    this.gap = undefined
    this.moveTo({ offset, epoch })
    this.subscriber.insufficientState(this.feed.channel, { offset, epoch })
  }

  send({ frame, offset }: Encoded): void {
    if (frame !== undefined) this.subscriber.outbox.send(frame)
    if (offset > 0) this.offset = offset
  }
}
