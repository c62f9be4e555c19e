import type { Broker, HistoryPage, Publication } from '../broker/broker.ts'
import type { Outbox } from '../connection/outbox.ts'
import type { Turn } from '../connection/turn.ts'
import { UnavailableError } from '../errors.ts'
import type { Position } from '../protocol/position.ts'
import type { Limiter } from '../timing/limiter.ts'
import type { StreamCursor } from './cursor.ts'
import type { SubscribeResult } from './subscribe-options.ts'

/** Where a subscriber continues: after a position, or at the first publication that is kept. */
export type StartingPoint = Position | 'start'

/** A subscription to which nothing is sent yet. New publications are buffered until `begin` is called. */
export interface PreparedStream extends SubscribeResult {
  /** The first page of the publications that the subscriber missed. */
  readonly missed: readonly Publication[]
  /**
   * Starts sending: first the rest of what the subscriber missed, as fast as its reader reads, then what is newer.
   * Called once.
   * @param sent How many of `missed` the caller has sent.
   */
  begin(sent: number): void
}

/**
 * How a page of history continues after a position:
 * - `complete`: up to the newest publication.
 * - `partial`: part of the way. The next page continues there.
 * - `gap`: not at all. Publications in between were deleted, or it is another history.
 * @param isLatestOnly Publications that were deleted do not count, because only the newest one does.
 */
export type Continuity = 'complete' | 'partial' | 'gap'

export function continuityOf(
  since: Position,
  { publications, position }: HistoryPage,
  isLatestOnly = false
): Continuity {
  if (since.epoch !== position.epoch || since.offset > position.offset) return 'gap'
  if (isLatestOnly) return (publications.at(-1)?.offset ?? position.offset) === position.offset ? 'complete' : 'partial'
  const isContiguous = publications.every(({ offset }, index) => offset === since.offset + index + 1)
  if (!isContiguous) return 'gap'
  if (since.offset + publications.length === position.offset) return 'complete'
  return publications.length > 0 ? 'partial' : 'gap'
}

/** The position of a new subscriber, and what it missed. */
interface Located extends Omit<PreparedStream, 'begin'> {
  /** The offset that the subscriber has reached once all of `missed` is sent. */
  readonly reached: number
  /** Undefined if the subscriber does not continue after a position. */
  readonly continuity?: Continuity
}

export interface RecoveryOptions {
  readonly broker: Broker
  readonly turn: Turn
  readonly limiter: Limiter
  /** The outbox of a connection of this node. */
  outboxOf(connection: string): Outbox | undefined
  failed(stage: string, error: unknown): void
  /** A subscriber with a position was sent all that it had missed (`complete`), or was informed of a gap. */
  recovered(complete: boolean): void
}

/** What a recovery needs of its channel. */
export interface RecoveringChannel {
  readonly name: string
  /** Only the newest publication counts. */
  readonly isLatestOnly: boolean
  /** The position of this node in the channel. */
  readonly position: Position
  /** Reads from history what this node has missed, and detects another epoch. */
  repair(): Promise<void>
  /** Makes the cursors live that are at the position of this node. */
  promote(): void
}

// History is read in pages of at most so many publications and bytes. So a subscriber that missed a lot, or whose
// reader is slow, does not take more memory than one page.
const PAGE = { limit: 1_000, maxBytes: 262_144 }
// How many reads of history may return another epoch than the channel's. Then the broker counts as unavailable.
const MAX_READS = 4

/** Delivers to subscribers what they missed, because they were disconnected or because their reader was slow. */
export class Recovery {
  readonly #options: RecoveryOptions
  /** Running reads, by the channel and the position after which they read. */
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
   * Sends a new subscriber what it missed, page by page. If its reader is slow, the rest follows when the reader has
   * caught up. Resolves once the publications are queued. Newer ones are queued afterwards, when the callers that await
   * this have run.
   */
  async deliver(
    channel: RecoveringChannel,
    cursor: StreamCursor,
    since: StartingPoint | undefined
  ): Promise<SubscribeResult> {
    const { missed, continuity, reached, ...first } = await this.#locate(channel, cursor, since)
    if (cursor.ended) return { ...first, recovered: false }
    let result: SubscribeResult = first
    this.#send(cursor, missed, reached)
    if (continuity === 'partial' && !cursor.behind) {
      const rest = await this.#sendRest(channel, cursor)
      result = { recovered: rest.continuity !== 'gap', ...rest.position }
      if (!result.recovered) cursor.moveTo(result)
    }
    if (continuity !== undefined) this.#options.recovered(result.recovered)
    this.#finishJoiningLater(channel, cursor)
    return result
  }

  /** Finds out what a new subscriber missed, and buffers newer publications until `begin` is called. */
  async prepare(
    channel: RecoveringChannel,
    cursor: StreamCursor,
    since: StartingPoint | undefined
  ): Promise<PreparedStream> {
    const { missed, continuity, reached, ...result } = await this.#locate(channel, cursor, since)
    if (continuity !== undefined && !cursor.ended) this.#options.recovered(result.recovered)
    const begin = (sent: number) => {
      const isAll = sent === missed.length
      cursor.offset = isAll ? reached : cursor.offset + sent
      cursor.behind = continuity === 'partial' || !isAll
      this.#finishJoining(channel, cursor)
    }
    return { ...result, missed, begin }
  }

  /** The reader of a subscriber that is behind has caught up: sends what the subscriber missed meanwhile. */
  async catchUp(channel: RecoveringChannel, cursor: StreamCursor): Promise<void> {
    try {
      const { continuity, position } = await this.#sendRest(channel, cursor)
      if (cursor.ended) return
      if (continuity === 'gap') cursor.declareGap(position)
      if (continuity !== 'partial') {
        this.#finishJoining(channel, cursor)
        return
      }
    } catch (error) {
      this.#options.failed('catch up', error)
    }
    cursor.buffer = undefined
    cursor.behind = true
  }

  /** Determines a new subscriber's position, and moves its cursor there. New publications are buffered from now on. */
  async #locate(channel: RecoveringChannel, cursor: StreamCursor, since: StartingPoint | undefined): Promise<Located> {
    const { position } = channel
    const from = since === 'start' ? { ...position, offset: 0 } : since
    // The subscriber may have left while the channel was being opened.
    if (from === undefined || from === null || cursor.ended) return this.#locateNewest(cursor, position)
    if (channel.isLatestOnly) return this.#locateLatest(channel, cursor, from)
    if (!isPosition(from)) return this.#locateNewest(cursor, position)
    const page = await this.#readFor(channel, cursor, from)
    const continuity = continuityOf(from, page)
    const recovered = continuity !== 'gap'
    const result = { recovered, ...positionOf(page) }
    cursor.moveTo(recovered ? from : result)
    const missed = recovered ? page.publications : []
    return { ...result, missed, reached: cursor.offset + missed.length, continuity }
  }

  /** A subscriber that missed nothing, or does not ask for it, continues at the position of this node. */
  #locateNewest(cursor: StreamCursor, position: Position): Located {
    cursor.moveTo(position)
    cursor.buffer = []
    return { recovered: false, ...position, missed: [], reached: position.offset }
  }

  /**
   * A subscriber of a channel in which only the newest publication counts misses that one, whatever its position is. It
   * misses nothing if it has received that publication already. With a filter, the newest one counts that passes.
   */
  async #locateLatest(channel: RecoveringChannel, cursor: StreamCursor, from: Position): Promise<Located> {
    const { broker, limiter } = this.#options
    const query = cursor.filter === undefined ? { limit: 1, reverse: true } : { ...PAGE, reverse: true }
    const page = await this.#readSteadily(channel, cursor, () => limiter.run(() => broker.history(channel.name, query)))
    const { offset, epoch } = page.position
    const isUpToDate = from.epoch === epoch && from.offset === offset
    const newest = page.publications.find((publication) => cursor.accepts(publication))
    const isKnown =
      newest === undefined || (from.epoch === epoch && newest.offset <= from.offset && from.offset <= offset)
    const recovered = isUpToDate || page.publications.length > 0
    cursor.moveTo(isKnown ? { offset, epoch } : { offset: newest.offset - 1, epoch })
    const missed = isKnown ? [] : [newest]
    return { recovered, offset, epoch, missed, reached: offset, continuity: recovered ? 'complete' : 'gap' }
  }

  /** Sends page after page, until all is sent (`complete`), the reader is slow (`partial`), or there is a `gap`. */
  async #sendRest(
    channel: RecoveringChannel,
    cursor: StreamCursor
  ): Promise<{ continuity: Continuity; position: Position }> {
    let { position } = channel
    while (!cursor.subscriber.outbox.lagging) {
      const since = { offset: cursor.offset, epoch: cursor.epoch }
      cursor.behind = false
      const page = await this.#readFor(channel, cursor, since)
      const continuity = continuityOf(since, page, channel.isLatestOnly)
      position = positionOf(page)
      if (cursor.ended || continuity === 'gap') return { continuity, position }
      const isComplete = continuity === 'complete'
      const reached = isComplete ? position.offset : (page.publications.at(-1) as Publication).offset
      this.#send(cursor, page.publications, reached)
      if (isComplete && !cursor.behind) return { continuity, position }
    }
    return { continuity: 'partial', position }
  }

  /**
   * Reads history for a cursor, and buffers new publications meanwhile. The page that it returns has the epoch of the
   * channel: a page of a newer or an older epoch cannot be joined with the publications that the node receives.
   */
  #readFor(channel: RecoveringChannel, cursor: StreamCursor, since: Position): Promise<HistoryPage> {
    return this.#readSteadily(channel, cursor, (attempt) => {
      // Clients that reconnect together have missed the same, and share one read.
      const shared = attempt === 0 ? this.#reads.get(keyOf(channel.name, since)) : undefined
      return shared ?? this.read(channel.name, since)
    })
  }

  /** Reads until the page belongs to the channel as this node knows it. */
  async #readSteadily(
    channel: RecoveringChannel,
    cursor: StreamCursor,
    read: (attempt: number) => Promise<HistoryPage>
  ): Promise<HistoryPage> {
    for (let attempt = 0; attempt < MAX_READS; attempt++) {
      cursor.buffer = []
      cursor.gap = undefined
      const { offset } = channel.position
      const page = await read(attempt)
      if (page.position.epoch !== channel.position.epoch) await channel.repair()
      // A read that began earlier may end before the position that this node has reached since.
      else if (cursor.gap === undefined && page.position.offset >= offset) return page
    }
    throw new UnavailableError()
  }

  /**
   * Sends publications until the reader is slow. The rest is read from history later.
   * @param reached The offset that the subscriber has reached once all are sent.
   */
  #send(cursor: StreamCursor, publications: readonly Publication[], reached: number): void {
    const { feed, subscriber } = cursor
    for (const publication of publications) {
      if (subscriber.outbox.lagging) {
        cursor.behind = true
        return
      }
      const { offset, except } = publication
      const isExcepted = except !== undefined && this.#options.outboxOf(except) === subscriber.outbox
      if (isExcepted || !cursor.accepts(publication)) {
        cursor.send({ offset, frame: undefined })
        continue
      }
      const frame = feed.encode(publication)
      subscriber.spend?.(frame.length)
      cursor.send({ offset, frame })
    }
    cursor.offset = reached
  }

  /** Newer publications are sent once the caller has run: it may have to send the subscriber's position before them. */
  #finishJoiningLater(channel: RecoveringChannel, cursor: StreamCursor): void {
    setImmediate(() => this.#options.turn.attempt(() => this.#finishJoining(channel, cursor)))
  }

  /** Ends the state joining. The cursor is then ahead, live or behind. */
  #finishJoining(channel: RecoveringChannel, cursor: StreamCursor): void {
    if (cursor.ended) return
    if (cursor.gap !== undefined) cursor.declareGap(cursor.gap)
    // A subscriber that cannot continue after a gap has left.
    if (cursor.ended) return
    if (cursor.behind) cursor.buffer = undefined
    else cursor.flushBuffer()
    channel.promote()
    if (cursor.behind) void this.catchUp(channel, cursor)
  }
}

/** A key for a read. A line feed separates the parts, because no channel's name contains one. */
function keyOf(channel: string, { offset, epoch }: Position): string {
  return `${channel}\n${offset}\n${epoch}`
}

function positionOf({ position: { offset, epoch } }: HistoryPage): Position {
  return { offset, epoch }
}

/** Checks a position that a client has sent. */
function isPosition(since: Position): boolean {
  return Number.isSafeInteger(since.offset) && since.offset >= 0 && typeof since.epoch === 'string'
}
