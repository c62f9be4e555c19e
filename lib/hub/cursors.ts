import type { SharedBatches } from '../connection/outbox.ts'
import type { Turn } from '../connection/turn.ts'
import type { StreamCursor } from './cursor.ts'

/**
 * The cursors of one subscriber, one for each channel. Most subscribers have one cursor, which is kept without a map.
 */
export class Cursors implements SharedBatches {
  #cursors: StreamCursor | Map<string, StreamCursor> | undefined

  get size(): number {
    const cursors = this.#cursors
    if (cursors === undefined) return 0
    return cursors instanceof Map ? cursors.size : 1
  }

  get(channel: string): StreamCursor | undefined {
    const cursors = this.#cursors
    if (cursors instanceof Map) return cursors.get(channel)
    return cursors?.feed.channel === channel ? cursors : undefined
  }

  add(cursor: StreamCursor): void {
    const cursors = this.#cursors
    if (cursors === undefined) this.#cursors = cursor
    else if (cursors instanceof Map) cursors.set(cursor.feed.channel, cursor)
    else this.#cursors = new Map([cursors, cursor].map((one) => [one.feed.channel, one]))
  }

  /** Removes the cursor of a channel, and returns it. */
  remove(channel: string): StreamCursor | undefined {
    const cursor = this.get(channel)
    if (this.#cursors instanceof Map) this.#cursors.delete(channel)
    else if (cursor !== undefined) this.#cursors = undefined
    return cursor
  }

  *[Symbol.iterator](): Generator<StreamCursor> {
    const cursors = this.#cursors
    if (cursors instanceof Map) yield* cursors.values()
    else if (cursors !== undefined) yield cursors
  }

  /** Hands out the frames of the feeds in which the subscriber is live. */
  handOut(turn: Turn): void {
    const cursors = this.#cursors
    if (cursors instanceof Map) for (const cursor of cursors.values()) handOutFeed(cursor, turn)
    else if (cursors !== undefined) handOutFeed(cursors, turn)
  }
}

function handOutFeed({ live, feed }: StreamCursor, turn: Turn): void {
  if (live) turn.handOut(feed, 'during')
}
