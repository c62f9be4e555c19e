import type { Broker, HistoryPage, Publication } from '../broker/broker.ts'
import type { Outbox } from '../connection/outbox.ts'
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
  readonly name: string
  readonly broker: Broker
  readonly limiter: Limiter
  /** Where the publications for a connection of this node go. */
  outboxOf(connection: string): Outbox | undefined
  failed(stage: string, error: unknown): void
  recovered(complete: boolean): void
}

/** What a recovery needs of its channel. */
export interface RecoveringChannel {
  /** How far this node is. */
  position(): Position
  /** Whether the subscription is still wanted. */
  isCurrent(cursor: StreamCursor): boolean
  /** Finds out how far the history is, and whether it is still the same. */
  repair(): Promise<void>
  /** Runs what nobody waits for. */
  attempt(action: () => void): void
  /** Lets those go live that have come level with this node. */
  promote(): void
}

// History is read in pieces of at most so many publications and bytes, so that neither a long absence nor a slow reader
// takes more memory than that.
const PAGE = { limit: 1_000, maxBytes: 262_144 }
// Reads of history that may meet another epoch than the channel's before the broker counts as unusable.
const MAX_READS = 4

/** Brings subscribers of one channel level with it: those who were away, and those whose reader was slow. */
export class Recovery {
  readonly #options: RecoveryOptions
  readonly #channel: RecoveringChannel
  /** Reads under way, by the offset that they go on from. */
  readonly #reads = new Map<number, Promise<HistoryPage>>()

  constructor(options: RecoveryOptions, channel: RecoveringChannel) {
    this.#options = options
    this.#channel = channel
  }

  /** Reads the next page after a position. */
  async read({ offset, epoch }: Position): Promise<HistoryPage> {
    const { name, broker, limiter } = this.#options
    const read = limiter.run(() => broker.history(name, { since: { offset, epoch }, ...PAGE }))
    this.#reads.set(offset, read)
    try {
      return await read
    } finally {
      if (this.#reads.get(offset) === read) this.#reads.delete(offset)
    }
  }

  /**
   * Gives a new subscriber what it missed, page by page unless the reader is slow: then the rest comes as it reads.
   * Resolves once that is queued; what is newer is queued after those who await this have had their turn.
   */
  async deliver(cursor: StreamCursor, since: StartingPoint | undefined): Promise<SubscribeResult> {
    const { missed, continuity, ...first } = await this.#locate(cursor, since)
    if (!this.#channel.isCurrent(cursor)) return { ...first, recovered: false }
    let result: SubscribeResult = first
    this.#give(cursor, missed)
    if (continuity === 'partial' && !cursor.behind) {
      const rest = await this.#readOn(cursor)
      result = { recovered: rest.continuity !== 'hole', ...rest.position }
      if (!result.recovered) cursor.moveTo(result)
    }
    if (continuity !== undefined) this.#options.recovered(result.recovered)
    this.#goLiveAfter(cursor)
    return result
  }

  /** Finds out what a new subscriber missed, and keeps what is newer until the subscriber has taken that. */
  async prepare(cursor: StreamCursor, since: StartingPoint | undefined): Promise<PreparedStream> {
    const { missed, continuity, ...result } = await this.#locate(cursor, since)
    if (continuity !== undefined && this.#channel.isCurrent(cursor)) this.#options.recovered(result.recovered)
    const begin = (taken: number) => {
      cursor.offset += taken
      // Not before: one that is behind is given what it missed as soon as its reader is ready.
      cursor.behind = continuity === 'partial' || taken < missed.length
      this.#goLive(cursor)
    }
    return { ...result, missed, begin }
  }

  /** The subscriber's reader takes again what it is sent: gives what it missed meanwhile. */
  async catchUp(cursor: StreamCursor): Promise<void> {
    try {
      const { continuity, position } = await this.#readOn(cursor)
      if (!this.#channel.isCurrent(cursor)) return
      if (continuity === 'hole') cursor.tellHole(this.#options.name, position)
      if (continuity !== 'partial') {
        this.#goLive(cursor)
        return
      }
    } catch (error) {
      this.#options.failed('catch up', error)
    }
    cursor.buffer = undefined
    cursor.behind = true
  }

  /** Finds a new subscriber's place, and moves its cursor there. What is published from here on is buffered for it. */
  async #locate(cursor: StreamCursor, since: StartingPoint | undefined): Promise<Located> {
    const position = this.#channel.position()
    const from = since === 'start' ? { ...position, offset: 0 } : since
    // It may have left while the channel was opened.
    if (!isPosition(from) || !this.#channel.isCurrent(cursor)) {
      cursor.moveTo(position)
      cursor.buffer = []
      return { recovered: false, ...position, missed: [] }
    }
    const page = await this.#readFor(cursor, from)
    const continuity = continuityOf(from, page)
    const recovered = continuity !== 'hole'
    const result = { recovered, ...positionOf(page) }
    cursor.moveTo(recovered ? from : result)
    return { ...result, missed: recovered ? page.publications : [], continuity }
  }

  /** Gives page after page, until all is given (`complete`), the reader is slow (`partial`), or there is a hole. */
  async #readOn(cursor: StreamCursor): Promise<{ continuity: Continuity; position: Position }> {
    let position = this.#channel.position()
    while (!cursor.subscriber.outbox.lagging) {
      const since = { offset: cursor.offset, epoch: cursor.epoch }
      cursor.behind = false
      const page = await this.#readFor(cursor, since)
      const continuity = continuityOf(since, page)
      position = positionOf(page)
      if (!this.#channel.isCurrent(cursor) || continuity === 'hole') return { continuity, position }
      this.#give(cursor, page.publications)
      if (continuity === 'complete' && !cursor.behind) return { continuity, position }
    }
    return { continuity: 'partial', position }
  }

  /**
   * Reads history for a subscription, and buffers what is published meanwhile. Both are of the channel's epoch then:
   * a page that knows of a new one before the node does, or not yet, can't be joined to what the node is given.
   */
  async #readFor(cursor: StreamCursor, since: Position): Promise<HistoryPage> {
    for (let reads = 0; reads < MAX_READS; reads++) {
      cursor.buffer = []
      cursor.hole = undefined
      const { offset } = this.#channel.position()
      // Those who come back together have missed the same, and share the answer.
      const page = await ((reads === 0 ? this.#reads.get(since.offset) : undefined) ?? this.read(since))
      if (page.position.epoch !== this.#channel.position().epoch) await this.#channel.repair()
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

  /** Newer ones only once the caller has had its turn: it may have to say where it stands before them. */
  #goLiveAfter(cursor: StreamCursor): void {
    setImmediate(() => this.#channel.attempt(() => this.#goLive(cursor)))
  }

  #goLive(cursor: StreamCursor): void {
    if (!this.#channel.isCurrent(cursor)) return
    if (cursor.hole !== undefined) cursor.tellHole(this.#options.name, cursor.hole)
    // Whoever has no use for a stream with a hole in it has left.
    if (!this.#channel.isCurrent(cursor)) return
    if (cursor.behind) cursor.buffer = undefined
    else cursor.release()
    this.#channel.promote()
    if (cursor.behind) void this.catchUp(cursor)
  }
}

function positionOf({ position: { offset, epoch } }: HistoryPage): Position {
  return { offset, epoch }
}

/** A client's position may be anything. */
function isPosition(since: Position | null | undefined): since is Position {
  if (since === undefined || since === null) return false
  return Number.isSafeInteger(since.offset) && since.offset >= 0 && typeof since.epoch === 'string'
}
