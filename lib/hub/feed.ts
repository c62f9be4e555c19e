import type { PresenceEventKind, Publication } from '../broker/broker.ts'
import type { Outbox } from '../connection/outbox.ts'
import type { Batch, Moment, Turn } from '../connection/turn.ts'
import { wrappedTextFrame } from '../protocol/frame.ts'
import { publicationPrefix, publicationSuffix } from '../protocol/messages.ts'
import type { CursorFeed, StreamCursor } from './cursor.ts'

/** A wire format: how a channel's publications look to its subscribers. Encoded once for all of one format. */
export interface Format {
  readonly name: string
  /** Makes the encoder of one channel. */
  encoder(channel: string): (publication: Publication) => Buffer
  /** Who came or went, for formats that tell it. */
  presence?(channel: string, kind: PresenceEventKind, info: Buffer): Buffer
}

const CLOSING_BRACE = Buffer.from('}')

/** `{"channel":…,"data":…}`, as `app.ws` routes get it. */
export const socketFormat: Format = {
  name: 'socket',
  encoder(channel) {
    const prefix = Buffer.from(publicationPrefix(channel))
    return ({ data, offset, epoch }) =>
      wrappedTextFrame(prefix, data, offset === 0 ? CLOSING_BRACE : Buffer.from(publicationSuffix(offset, epoch)))
  }
}

export interface FeedOptions {
  readonly format: Format
  readonly channel: string
  readonly turn: Turn
  /** A live subscription's reader is slow; given where the channel can serve it later. */
  readonly fellBehind?: FellBehind
  /** A batch goes out, so many milliseconds after its oldest publication was published. */
  delivered(lag: number): void
}

/** A reader is slow; it has been given everything up to `offset`, and gets nothing more from the feed. */
export type FellBehind = (cursor: StreamCursor, offset: number) => void

/** The live subscribers of one channel in one format, and this turn's frames for them. */
export class Feed implements Batch, CursorFeed {
  readonly encode: (publication: Publication) => Buffer
  readonly #options: FeedOptions
  readonly #live = new Map<Outbox, StreamCursor>()
  #frames: Buffer[] = []
  /** Which of this turn's frames are not for whom, by their places. */
  readonly #exceptions = new Map<Outbox, Set<number>>()
  /** The offset of the publication that was added last, and of the last one handed out. */
  #added = 0
  #handedOut = 0
  /** When the oldest publication of this turn was published. */
  #oldest: number | undefined

  constructor(options: FeedOptions) {
    this.encode = options.format.encoder(options.channel)
    this.#options = options
  }

  get size(): number {
    return this.#live.size
  }

  /** From here on the subscription gets what is added, and nothing of what was added before. */
  join(cursor: StreamCursor): void {
    const { outbox } = cursor.subscriber
    this.handOut('during')
    this.#live.set(outbox, cursor)
    outbox.addSource(this)
  }

  /** The subscription gets what was added up to here, but for what its slow reader has not been given yet. */
  leave(cursor: StreamCursor): void {
    const { outbox } = cursor.subscriber
    this.handOut('during')
    this.drop(cursor)
    outbox.withdraw(this)
  }

  /** Queues a frame for every live subscriber, but for one perhaps. */
  add(frame: Buffer, offset: number, time?: number, except?: Outbox): void {
    this.#added = Math.max(this.#added, offset)
    if (this.#live.size === 0) return
    this.#oldest ??= time
    if (except !== undefined && this.#live.has(except)) this.#except(except, this.#frames.length)
    if (this.#frames.push(frame) === 1) this.#options.turn.addBatch(this)
  }

  handOut(moment: Moment): void {
    const frames = this.#frames
    const count = frames.length
    const before = this.#handedOut
    this.#handedOut = this.#added
    if (count === 0) return
    this.#frames = []
    const { delivered } = this.#options
    if (this.#oldest !== undefined) delivered(Math.max(0, Date.now() - this.#oldest))
    this.#oldest = undefined
    const chunk = count === 1 ? (frames[0] as Buffer) : Buffer.concat(frames)
    const exceptions = this.#exceptions
    for (const [outbox, cursor] of this.#live) {
      const places = exceptions.size === 0 ? undefined : exceptions.get(outbox)
      if (places === undefined) this.#hand(chunk, count, before, moment, outbox, cursor)
      else {
        const rest = frames.filter((_, at) => !places.has(at))
        this.#hand(Buffer.concat(rest), rest.length, before, moment, outbox, cursor)
      }
    }
    exceptions.clear()
  }

  #except(outbox: Outbox, place: number): void {
    const places = this.#exceptions.get(outbox)
    if (places === undefined) this.#exceptions.set(outbox, new Set([place]))
    else places.add(place)
  }

  #hand(chunk: Buffer, count: number, before: number, moment: Moment, outbox: Outbox, cursor: StreamCursor): void {
    const { fellBehind, turn } = this.#options
    try {
      if (outbox.lagging && fellBehind !== undefined) fellBehind(cursor, before)
      else if (count > 0) outbox.deliver(chunk, count, this, moment)
    } catch (error) {
      turn.report(error)
      outbox.fail()
    }
  }

  /** Nobody is given what lies before this offset. */
  skipTo(offset: number): void {
    this.#added = offset
    this.#handedOut = offset
  }

  /** Takes a subscription out without giving it what was added. */
  drop({ subscriber: { outbox } }: StreamCursor): void {
    this.#live.delete(outbox)
    outbox.removeSource(this)
  }
}
