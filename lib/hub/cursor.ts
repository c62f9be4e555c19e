import type { Publication } from '../broker/broker.ts'
import type { Outbox } from '../connection/outbox.ts'
import type { Position } from '../protocol/position.ts'
import type { SubscribeResult } from './subscribe-options.ts'

/** Whoever can be subscribed to a channel. */
export interface Subscriber {
  readonly outbox: Outbox
  readonly closed: boolean
  /** Channels that it may be subscribed to at a time. */
  readonly maxSubscriptions: number
  /** The subscriber has caused so many bytes of history to be sent. Absent if nothing counts them. */
  spend?(bytes: number): void
  /** Publications of the channel were lost to this subscriber and can't be had again; it goes on from `position`. */
  insufficientState(channel: string, position: Position): void
}

/** One publication, encoded; without a frame for a subscriber that is not given it, and goes on behind it. */
export interface Encoded {
  readonly offset: number
  readonly frame: Buffer | undefined
}

/** The live subscribers of the channel that get its publications in the same format. */
export interface CursorFeed {
  encode(publication: Publication): Buffer
  join(cursor: StreamCursor): void
  leave(cursor: StreamCursor): void
  drop(cursor: StreamCursor): void
}

/**
 * One subscriber's place in one channel. It is *live* while it gets what the channel's feed gives to all. Before that,
 * and while its reader is slow, it stands beside the feed and has its own offset.
 */
export class StreamCursor {
  readonly subscriber: Subscriber
  readonly feed: CursorFeed
  /** Pending while it is being made. */
  joined: Promise<SubscribeResult> | undefined
  /** The offset it was given last, while it is not live, and its epoch: the channel's may be a newer one by now. */
  offset = 0
  epoch = ''
  /** What was published since history is being read for it. */
  buffer: Encoded[] | undefined
  /** Its reader is slow: it will be served from history. */
  behind = false
  /** Publications were lost while history was being read; it goes on from there. */
  hole: Position | undefined

  constructor(subscriber: Subscriber, feed: CursorFeed) {
    this.subscriber = subscriber
    this.feed = feed
  }

  /** Takes a publication that comes while not live. */
  take(encoded: Encoded): void {
    if (this.behind) return
    if (this.buffer !== undefined) this.buffer.push(encoded)
    else this.#giveNew(encoded)
  }

  /** Hands out what was buffered and is newer than what was given. */
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

  /** Publications before this position are lost to it: it goes on from there. */
  tellHole(channel: string, { offset, epoch }: Position): void {
    this.hole = undefined
    this.moveTo({ offset, epoch })
    this.subscriber.insufficientState(channel, { offset, epoch })
  }

  give({ frame, offset }: Encoded): void {
    if (frame !== undefined) this.subscriber.outbox.send(frame)
    if (offset > 0) this.offset = offset
  }
}
