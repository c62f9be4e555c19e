import type { HistoryPolicy, PresenceEventKind, Publication } from '../broker/broker.ts'
import type { Outbox } from '../connection/outbox.ts'
import type { Moment, Turn } from '../connection/turn.ts'
import { wrappedTextFrame } from '../protocol/frame.ts'
import { publicationPrefix, publicationSuffix } from '../protocol/messages.ts'
import type { CursorFeed, StreamCursor } from './cursor.ts'

/** A wire format: how a channel's publications look to its subscribers. Encoded once for all of one format. */
export interface Format {
  readonly name: string
  /** What all publications of a channel begin with. */
  head(channel: string): string
  encode(head: string, publication: Publication): Buffer
  /** A join or a leave, for formats that have a message for it. */
  presence?(channel: string, kind: PresenceEventKind, info: Buffer): Buffer
}

/** `{"channel":…,"data":…}`, as `app.ws` routes get it. */
export const socketFormat: Format = {
  name: 'socket',
  head: publicationPrefix,
  encode: (head, { data, offset, epoch }) =>
    wrappedTextFrame(head, data, offset === 0 ? '}' : publicationSuffix(offset, epoch))
}

/** The channel that a feed belongs to. */
export interface FeedChannel {
  readonly name: string
  /** If there is none, what a slow reader misses is missed. */
  readonly history: HistoryPolicy | undefined
  readonly services: {
    readonly turn: Turn
    /** A batch goes out, so many milliseconds after its oldest publication was published. */
    delivered(lag: number): void
  }
  /** A reader is slow. It has been given everything up to `offset`, and is served from history later. */
  fallBehind(cursor: StreamCursor, offset: number): void
}

/** What is handed out at one time. */
interface Round {
  readonly frames: readonly Buffer[]
  /** All frames in one. */
  readonly chunk: Buffer
  /** Which of the frames an outbox is excepted from, by their places. */
  readonly exceptions: ReadonlyMap<Outbox, ReadonlySet<number>> | undefined
  /** The last offset that was handed out before. */
  readonly before: number
  readonly moment: Moment
}

// What most feeds have at most times: there may be 100,000 of them.
const NO_FRAMES: Buffer[] = []
const NO_CURSORS: StreamCursor[] = []

/** The live subscribers of one channel in one format, and this turn's frames for them. */
export class Feed implements CursorFeed {
  readonly format: Format
  readonly #channel: FeedChannel
  readonly #head: string
  #live = NO_CURSORS
  /** The live ones that are just being given something: this array must not change. */
  #served: StreamCursor[] | undefined
  #frames = NO_FRAMES
  /** As in a round, of this turn's frames. */
  #exceptions: Map<Outbox, Set<number>> | undefined
  /** The offset of the publication that was added last, and of the last one handed out. */
  #added = 0
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

  /** From here on the cursor gets what is added, and nothing of what was added before. */
  join(cursor: StreamCursor): void {
    this.handOut('during')
    cursor.place = this.#live.length
    // With one element an array takes no more memory than it needs; `push` would reserve some for more.
    if (cursor.place === 0) this.#live = [cursor]
    else this.#changeable().push(cursor)
  }

  /** The cursor gets what was added up to here, but for what its slow reader has not been given yet. */
  leave(cursor: StreamCursor): void {
    if (cursor.live) {
      this.handOut('during')
      this.drop(cursor)
    }
    cursor.subscriber.outbox.withdraw(this)
  }

  /** Takes a cursor out without giving it what was added. */
  drop(cursor: StreamCursor): void {
    if (!cursor.live) return
    const live = this.#changeable()
    const last = live.pop() as StreamCursor
    if (last !== cursor) {
      live[cursor.place] = last
      last.place = cursor.place
    }
    cursor.dropped()
    if (live.length === 0) this.#live = NO_CURSORS
  }

  /** Queues a frame for every live subscriber, but for one perhaps. */
  add(frame: Buffer, offset: number, time?: number, except?: Outbox): void {
    this.#added = Math.max(this.#added, offset)
    if (this.#live.length === 0) return
    this.#oldest ??= time
    if (except !== undefined) this.#except(except, this.#frames.length)
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
    const outer = this.#served
    this.#served = this.#live
    // A cursor that is dropped meanwhile is given nothing more.
    for (const cursor of this.#served) if (cursor.live) this.#serve(cursor, round)
    this.#served = outer
  }

  #serve(cursor: StreamCursor, { frames, chunk, exceptions, before, moment }: Round): void {
    const { outbox } = cursor.subscriber
    try {
      const places = exceptions?.get(outbox)
      if (outbox.lagging && this.#channel.history !== undefined) this.#channel.fallBehind(cursor, before)
      else if (places === undefined) outbox.deliver(chunk, frames.length, this, moment)
      else if (places.size < frames.length) {
        const rest = frames.filter((_, at) => !places.has(at))
        outbox.deliver(Buffer.concat(rest), rest.length, this, moment)
      }
    } catch (error) {
      this.#channel.services.turn.report(error)
      outbox.fail()
    }
  }

  /** Nobody is given what lies before this offset. */
  skipTo(offset: number): void {
    this.#added = offset
    this.#handedOut = offset
  }

  /** The live ones, to be changed: a copy, while they are given something one after another. */
  #changeable(): StreamCursor[] {
    if (this.#live === this.#served) this.#live = [...this.#live]
    return this.#live
  }

  #except(outbox: Outbox, place: number): void {
    this.#exceptions ??= new Map()
    const places = this.#exceptions.get(outbox)
    if (places === undefined) this.#exceptions.set(outbox, new Set([place]))
    else places.add(place)
  }
}
