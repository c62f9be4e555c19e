import type { Broker, HistoryPage, Publication } from '../broker/broker.ts'
import type { Outbox } from '../connection/outbox.ts'
import type { Turn } from '../connection/turn.ts'
import { UnavailableError } from '../errors.ts'
import type { Position } from '../protocol/position.ts'
import type { Limiter } from '../timing/limiter.ts'
import type { StreamCursor } from './cursor.ts'
import type { SubscribeResult } from './subscribe-options.ts'

/** Where a subscriber wants to go on: after a position, or from the first publication that is kept. */
export type StartingPoint = Position | 'start'

/** A subscription that is made, and is given nothing yet: what is published is kept for it until `begin` is called. */
export interface PreparedStream extends SubscribeResult {
  /** The first page of what it missed. */
  readonly missed: readonly Publication[]
  /**
   * The subscriber has taken so many of `missed`. The rest comes as frames, as fast as its reader takes them, and then
   * what is newer. Called once.
   */
  begin(taken: number): void
}

/**
 * How a page of history goes on from a position: up to the newest (`complete`), part of the way (`partial`: the next
 * page goes on from there), or not at all (`hole`: something in between is gone, or it is another history).
 */
export type Continuity = 'complete' | 'partial' | 'hole'

export function continuityOf(since: Position, { publications, position }: HistoryPage): Continuity {
  const isContiguous = publications.every(({ offset }, index) => offset === since.offset + index + 1)
  if (since.epoch !== position.epoch || since.offset > position.offset || !isContiguous) return 'hole'
  if (since.offset + publications.length === position.offset) return 'complete'
  return publications.length > 0 ? 'partial' : 'hole'
}

/** Where a new subscriber stands. */
interface Located extends Omit<PreparedStream, 'begin'> {
  /** Undefined if it does not go on from a position. */
  readonly continuity?: Continuity
}

export interface RecoveryOptions {
  readonly broker: Broker
  readonly turn: Turn
  readonly limiter: Limiter
  /** Where the publications for a connection of this node go. */
  outboxOf(connection: string): Outbox | undefined
  failed(stage: string, error: unknown): void
  /** A subscriber that gave its position was given all that it had missed, or learned that this is not possible. */
  recovered(complete: boolean): void
}

/** A channel, as its subscribers' recoveries need it. */
export interface RecoveringChannel {
  readonly name: string
  /** How far this node is. */
  readonly position: Position
  /** Finds out how far the history is, and whether it is still the same. */
  repair(): Promise<void>
  /** Makes those live that have come level with this node. */
  promote(): void
}

// History is read in pieces of at most so many publications and bytes, so that neither a long absence nor a slow reader
// takes more memory than that.
const PAGE = { limit: 1_000, maxBytes: 262_144 }
// Reads of history that may meet another epoch than the channel's before the broker counts as unusable.
const MAX_READS = 4

/** Brings subscribers level with their channels: those that were away, and those whose reader was slow. */
export class Recovery {
  readonly #options: RecoveryOptions
  /** Reads under way, by the channel and the position that they go on from. */
  readonly #reads = new Map<string, Promise<HistoryPage>>()

  constructor(options: RecoveryOptions) {
    this.#options = options
  }

  /** Reads the next page of a channel after a position. */
  async read(channel: string, { offset, epoch }: Position): Promise<HistoryPage> {
    const { broker, limiter } = this.#options
    const key = keyOf(channel, { offset, epoch })
    const read = limiter.run(() => broker.history(channel, { since: { offset, epoch }, ...PAGE }))
    this.#reads.set(key, read)
    try {
      return await read
    } finally {
      if (this.#reads.get(key) === read) this.#reads.delete(key)
    }
  }

  /**
   * Gives a new subscriber what it missed, page by page unless the reader is slow: then the rest comes as it reads.
   * Resolves once that is queued; what is newer is queued after those who await this have had their turn.
   */
  async deliver(
    channel: RecoveringChannel,
    cursor: StreamCursor,
    since: StartingPoint | undefined
  ): Promise<SubscribeResult> {
    const { missed, continuity, ...first } = await this.#locate(channel, cursor, since)
    if (cursor.ended) return { ...first, recovered: false }
    let result: SubscribeResult = first
    this.#give(cursor, missed)
    if (continuity === 'partial' && !cursor.behind) {
      const rest = await this.#readOn(channel, cursor)
      result = { recovered: rest.continuity !== 'hole', ...rest.position }
      if (!result.recovered) cursor.moveTo(result)
    }
    if (continuity !== undefined) this.#options.recovered(result.recovered)
    this.#goOnAfter(channel, cursor)
    return result
  }

  /** Finds out what a new subscriber missed, and buffers what is newer until the subscriber has taken that. */
  async prepare(
    channel: RecoveringChannel,
    cursor: StreamCursor,
    since: StartingPoint | undefined
  ): Promise<PreparedStream> {
    const { missed, continuity, ...result } = await this.#locate(channel, cursor, since)
    if (continuity !== undefined && !cursor.ended) this.#options.recovered(result.recovered)
    const begin = (taken: number) => {
      cursor.offset += taken
      cursor.behind = continuity === 'partial' || taken < missed.length
      this.#goOn(channel, cursor)
    }
    return { ...result, missed, begin }
  }

  /** The reader of a subscriber that is behind takes again what it is sent: gives what it missed meanwhile. */
  async catchUp(channel: RecoveringChannel, cursor: StreamCursor): Promise<void> {
    try {
      const { continuity, position } = await this.#readOn(channel, cursor)
      if (cursor.ended) return
      if (continuity === 'hole') cursor.declareHole(position)
      if (continuity !== 'partial') {
        this.#goOn(channel, cursor)
        return
      }
    } catch (error) {
      this.#options.failed('catch up', error)
    }
    cursor.buffer = undefined
    cursor.behind = true
  }

  /** Finds a new subscriber's place, and moves its cursor there. What is published from here on is buffered for it. */
  async #locate(channel: RecoveringChannel, cursor: StreamCursor, since: StartingPoint | undefined): Promise<Located> {
    const { position } = channel
    const from = since === 'start' ? { ...position, offset: 0 } : since
    // It may have left while the channel was opened.
    if (!isPosition(from) || cursor.ended) {
      cursor.moveTo(position)
      cursor.buffer = []
      return { recovered: false, ...position, missed: [] }
    }
    const page = await this.#readFor(channel, cursor, from)
    const continuity = continuityOf(from, page)
    const recovered = continuity !== 'hole'
    const result = { recovered, ...positionOf(page) }
    cursor.moveTo(recovered ? from : result)
    return { ...result, missed: recovered ? page.publications : [], continuity }
  }

  /** Gives page after page, until all is given (`complete`), the reader is slow (`partial`), or there is a hole. */
  async #readOn(
    channel: RecoveringChannel,
    cursor: StreamCursor
  ): Promise<{ continuity: Continuity; position: Position }> {
    let { position } = channel
    while (!cursor.subscriber.outbox.lagging) {
      const since = { offset: cursor.offset, epoch: cursor.epoch }
      cursor.behind = false
      const page = await this.#readFor(channel, cursor, since)
      const continuity = continuityOf(since, page)
      position = positionOf(page)
      if (cursor.ended || continuity === 'hole') return { continuity, position }
      this.#give(cursor, page.publications)
      if (continuity === 'complete' && !cursor.behind) return { continuity, position }
    }
    return { continuity: 'partial', position }
  }

  /**
   * Reads history for a cursor, and buffers what is published meanwhile. Both are of the channel's epoch then: a page
   * that is of a newer epoch than the node's, or of an older one, can't be joined to what the node is given.
   */
  async #readFor(channel: RecoveringChannel, cursor: StreamCursor, since: Position): Promise<HistoryPage> {
    for (let reads = 0; reads < MAX_READS; reads++) {
      cursor.buffer = []
      cursor.hole = undefined
      const { offset } = channel.position
      // Clients that come back together have missed the same, and share the answer.
      const shared = reads === 0 ? this.#reads.get(keyOf(channel.name, since)) : undefined
      const page = await (shared ?? this.read(channel.name, since))
      if (page.position.epoch !== channel.position.epoch) await channel.repair()
      // One that was asked for earlier may know less than this node has given to others since.
      else if (cursor.hole === undefined && page.position.offset >= offset) return page
    }
    throw new UnavailableError()
  }

  /** Gives publications until the reader is slow; the rest is left to history. */
  #give(cursor: StreamCursor, publications: readonly Publication[]): void {
    const { feed, subscriber } = cursor
    for (const publication of publications) {
      if (subscriber.outbox.lagging) {
        cursor.behind = true
        return
      }
      const { offset, except } = publication
      if (except !== undefined && this.#options.outboxOf(except) === subscriber.outbox) {
        cursor.give({ offset, frame: undefined })
        continue
      }
      const frame = feed.encode(publication)
      subscriber.spend?.(frame.length)
      cursor.give({ offset, frame })
    }
  }

  /** Newer ones only once the caller has had its turn: it may have to send where it stands before them. */
  #goOnAfter(channel: RecoveringChannel, cursor: StreamCursor): void {
    setImmediate(() => this.#options.turn.attempt(() => this.#goOn(channel, cursor)))
  }

  /** Its joining is over: it is beside the feed, or behind. */
  #goOn(channel: RecoveringChannel, cursor: StreamCursor): void {
    if (cursor.ended) return
    if (cursor.hole !== undefined) cursor.declareHole(cursor.hole)
    // A subscriber that can't use a stream with a hole has left.
    if (cursor.ended) return
    if (cursor.behind) cursor.buffer = undefined
    else cursor.release()
    channel.promote()
    if (cursor.behind) void this.catchUp(channel, cursor)
  }
}

/** No channel's name has a line feed. */
function keyOf(channel: string, { offset, epoch }: Position): string {
  return `${channel}\n${offset}\n${epoch}`
}

function positionOf({ position: { offset, epoch } }: HistoryPage): Position {
  return { offset, epoch }
}

/** A client's position may be anything. */
function isPosition(since: Position | null | undefined): since is Position {
  if (since === undefined || since === null) return false
  return Number.isSafeInteger(since.offset) && since.offset >= 0 && typeof since.epoch === 'string'
}
