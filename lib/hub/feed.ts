import type { HistoryPolicy, PresenceEventKind, Publication } from '../broker/broker.ts'
import type { Outbox } from '../connection/outbox.ts'
import type { Moment, Turn } from '../connection/turn.ts'
import { wrappedTextFrame } from '../protocol/frame.ts'
import { jsonData } from '../protocol/json-data.ts'
import { publicationPrefix, publicationSuffix } from '../protocol/messages.ts'
import type { CursorFeed, StreamCursor } from './cursor.ts'

/** How publications are encoded. A publication is encoded once for all subscribers with the same format. */
export interface Format {
  /** The text with which all publications of a channel begin. */
  head(channel: string): string
  encode(head: string, publication: Publication): Buffer
  /** A join or a leave, for formats that have a message for it. */
  presence?(channel: string, kind: PresenceEventKind, info: Buffer): Buffer
}

/** `{"channel":…,"data":…}`, for clients of `app.ws` routes. */
export const socketFormat: Format = {
  head: publicationPrefix,
  encode(head, publication) {
    const { offset, epoch } = publication
    return wrappedTextFrame(head, jsonData(publication), offset === 0 ? '}' : publicationSuffix(offset, epoch))
  }
}

/** The channel that a feed belongs to. */
export interface FeedChannel {
  readonly name: string
  /** Undefined if the channel has no history. Then a slow reader loses what it misses. */
  readonly history: HistoryPolicy | undefined
  readonly services: {
    readonly turn: Turn
    /** A batch is handed out, so many milliseconds after its oldest publication was published. */
    delivered(lag: number): void
  }
  /** A reader is slow. It has received everything up to `offset`. History will be read for it later. */
  fallBehind(cursor: StreamCursor, offset: number): void
}

/** The frames that are handed out together. */
interface Round {
  readonly frames: readonly Buffer[]
  /** All frames in one buffer. */
  readonly chunk: Buffer
  /** The frames that an outbox does not receive, by their indexes. */
  readonly exceptions: ReadonlyMap<Outbox, ReadonlySet<number>> | undefined
  /** The last offset that was handed out before. */
  readonly before: number
  readonly moment: Moment
}

// Most feeds are empty most of the time, and share these arrays: there may be 100,000 feeds.
const NO_FRAMES: Buffer[] = []
const NO_CURSORS: StreamCursor[] = []

/** The live subscribers of one channel in one format, and this turn's frames for them. */
export class Feed implements CursorFeed {
  readonly format: Format
  readonly #channel: FeedChannel
  readonly #head: string
  #live = NO_CURSORS
  /** The array of live cursors that is being iterated to hand out frames. It must not change meanwhile. */
  #iterated: StreamCursor[] | undefined
  #frames = NO_FRAMES
  /** Which of this turn's frames an outbox does not receive, by their indexes. */
  #exceptions: Map<Outbox, Set<number>> | undefined
  /** The offset of the latest publication that was added. */
  #added = 0
  /** The offset of the latest publication that was handed out. */
  #handedOut = 0
  /** When the oldest publication of this turn was published. */
  #oldest: number | undefined

  constructor(format: Format, channel: FeedChannel) {
    this.format = format
    this.#channel = channel
    this.#head = format.head(channel.name)
  }

  get channel(): string {
    return this.#channel.name
  }

  get size(): number {
    return this.#live.length
  }

  get cursors(): readonly StreamCursor[] {
    return this.#live
  }

  encode(publication: Publication): Buffer {
    return this.format.encode(this.#head, publication)
  }

  /** The cursor becomes live. It receives the frames that are added from now on, and none that were added before. */
  join(cursor: StreamCursor): void {
    this.handOut('during')
    cursor.place = this.#live.length
    // A literal array takes only the memory that it needs; `push` would reserve memory for more elements.
    if (cursor.place === 0) this.#live = [cursor]
    else this.#mutableLive().push(cursor)
  }

  /**
   * Removes a cursor. It still receives the frames that were added before, except those kept back for a slow reader.
   */
  leave(cursor: StreamCursor): void {
    if (cursor.live) {
      this.handOut('during')
      this.drop(cursor)
    }
    cursor.subscriber.outbox.withdraw(this)
  }

  /** Removes a cursor. It does not receive the frames that were added before. */
  drop(cursor: StreamCursor): void {
    if (!cursor.live) return
    const live = this.#mutableLive()
    const last = live.pop() as StreamCursor
    if (last !== cursor) {
      live[cursor.place] = last
      last.place = cursor.place
    }
    cursor.dropped()
    if (live.length === 0) this.#live = NO_CURSORS
  }

  /** Queues a frame for all live subscribers, except the one with the outbox `except`. */
  add(frame: Buffer, offset: number, time?: number, except?: Outbox): void {
    this.#added = Math.max(this.#added, offset)
    if (this.#live.length === 0) return
    this.#oldest ??= time
    if (except !== undefined) this.#addException(except, this.#frames.length)
    if (this.#frames === NO_FRAMES) {
      this.#frames = [frame]
      this.#channel.services.turn.addBatch(this)
    } else this.#frames.push(frame)
  }

  handOut(moment: Moment): void {
    const frames = this.#frames
    const before = this.#handedOut
    this.#handedOut = this.#added
    if (frames === NO_FRAMES) return
    this.#frames = NO_FRAMES
    if (this.#oldest !== undefined) this.#channel.services.delivered(Math.max(0, Date.now() - this.#oldest))
    this.#oldest = undefined
    const chunk = frames.length === 1 ? (frames[0] as Buffer) : Buffer.concat(frames)
    const round = { frames, chunk, exceptions: this.#exceptions, before, moment }
    this.#exceptions = undefined
    const outer = this.#iterated
    this.#iterated = this.#live
    // A cursor that is dropped meanwhile receives nothing more.
    for (const cursor of this.#iterated) if (cursor.live) this.#deliver(cursor, round)
    this.#iterated = outer
  }

  #deliver(cursor: StreamCursor, { frames, chunk, exceptions, before, moment }: Round): void {
    const { outbox } = cursor.subscriber
    try {
      const excepted = exceptions?.get(outbox)
      if (outbox.lagging && this.#channel.history !== undefined) this.#channel.fallBehind(cursor, before)
      else if (excepted === undefined) outbox.deliver(chunk, frames.length, this, moment)
      else if (excepted.size < frames.length) {
        const rest = frames.filter((_, index) => !excepted.has(index))
        outbox.deliver(Buffer.concat(rest), rest.length, this, moment)
      }
    } catch (error) {
      this.#channel.services.turn.report(error)
      outbox.fail()
    }
  }

  /** Counts everything up to this offset as handed out. */
  skipTo(offset: number): void {
    this.#added = offset
    this.#handedOut = offset
  }

  /** The array of live cursors, to change it. It is copied first if it is being iterated. */
  #mutableLive(): StreamCursor[] {
    if (this.#live === this.#iterated) this.#live = [...this.#live]
    return this.#live
  }

  #addException(outbox: Outbox, index: number): void {
    this.#exceptions ??= new Map()
    const excepted = this.#exceptions.get(outbox)
    if (excepted === undefined) this.#exceptions.set(outbox, new Set([index]))
    else excepted.add(index)
  }
}
