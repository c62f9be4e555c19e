import type { HistoryPolicy, PresenceEventKind, Publication } from '../broker/broker.ts'
import type { Outbox } from '../connection/outbox.ts'
import type { Moment, Turn } from '../connection/turn.ts'
import { wrappedTextFrame } from '../protocol/frame.ts'
import { jsonData } from '../protocol/json-data.ts'
import { publicationPrefix, publicationSuffix } from '../protocol/messages.ts'
import type { CursorFeed, StreamCursor } from './cursor.ts'
import { DeltaChain } from './delta-chain.ts'
import { type Part, PlainRound, partOf, type Round } from './round.ts'

/** How publications are encoded. A publication is encoded once for all subscribers with the same format. */
export interface Format {
  /** The text with which all publications of a channel begin. */
  head(channel: string): string
  encode(head: string, publication: Publication): Buffer
  /**
   * For clients that take deltas: encodes a publication as a Fossil delta to the one before it. `encode` gives the form
   * in which these clients take whole publications.
   */
  encodeDelta?(head: string, publication: Publication, delta: Buffer): Buffer
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
    /** Deltas were handed out. They are so many bytes smaller than the publications. */
    deltasSaved?(bytes: number): void
  }
  /** A reader is slow. It has received everything up to `offset`. History will be read for it later. */
  fallBehind(cursor: StreamCursor, offset: number): void
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
  /** How many live cursors have a filter. */
  #filters = 0
  /** The publications of this turn's frames, if a live cursor has a filter. */
  #publications: (Publication | undefined)[] | undefined
  /** Undefined if the format has no deltas. */
  readonly #deltas: DeltaChain | undefined
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
    const { encodeDelta } = format
    if (encodeDelta !== undefined) {
      this.#deltas = new DeltaChain((publication, delta) => encodeDelta(this.#head, publication, delta))
    }
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
    if (cursor.filter !== undefined) this.#filters++
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
    if (cursor.filter !== undefined) this.#filters--
    if (live.length > 0) return
    this.#live = NO_CURSORS
    this.#deltas?.forget()
  }

  /**
   * Queues a publication for all live subscribers, except the one with the outbox `except`.
   * @param frame The publication, as `encode` gives it.
   */
  add(frame: Buffer, publication: Publication, except?: Outbox): void {
    this.#added = Math.max(this.#added, publication.offset)
    if (this.#live.length === 0) return
    const index = this.#frames.length
    this.#oldest ??= publication.time
    if (except !== undefined) this.#addException(except, index)
    this.#deltas?.add(index, frame, publication)
    if (this.#filters > 0) {
      this.#publications ??= []
      this.#publications[index] = publication
    }
    this.#push(frame)
  }

  /** Queues the frame of a join or a leave. */
  announce(frame: Buffer): void {
    if (this.#live.length > 0) this.#push(frame)
  }

  #push(frame: Buffer): void {
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
    const round = this.#takeRound(frames)
    const whole = round === undefined ? partOf(frames) : undefined
    const outer = this.#iterated
    this.#iterated = this.#live
    // A cursor that is dropped meanwhile receives nothing more.
    for (const cursor of this.#iterated) if (cursor.live) this.#deliver(cursor, whole, round, before, moment)
    this.#iterated = outer
    if (round !== undefined && round.saved > 0) this.#channel.services.deltasSaved?.(round.saved)
  }

  /** The round of this turn. Undefined if all cursors receive all frames. */
  #takeRound(frames: readonly Buffer[]): Round | undefined {
    const exceptions = this.#exceptions
    const publications = this.#publications
    this.#exceptions = undefined
    this.#publications = undefined
    if (this.#deltas !== undefined) return this.#deltas.take(frames, exceptions)
    if (exceptions === undefined && publications === undefined) return undefined
    return new PlainRound(frames, exceptions, publications)
  }

  /**
   * @param whole What all cursors receive. Undefined if the round chooses for each.
   * @param before The last offset that was handed out before this round.
   */
  #deliver(
    cursor: StreamCursor,
    whole: Part | undefined,
    round: Round | undefined,
    before: number,
    moment: Moment
  ): void {
    const { outbox } = cursor.subscriber
    try {
      if (outbox.lagging && this.#channel.history !== undefined) {
        this.#channel.fallBehind(cursor, before)
        return
      }
      const part = whole ?? round?.partFor(cursor)
      if (part !== undefined) outbox.deliver(part.chunk, part.count, this, moment)
    } catch (error) {
      this.#channel.services.turn.report(error)
      outbox.fail()
    }
  }

  /** Counts everything up to this offset as handed out. */
  skipTo(offset: number): void {
    this.#added = offset
    this.#handedOut = offset
    this.#deltas?.forget()
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
