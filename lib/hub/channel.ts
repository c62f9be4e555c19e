import type { Broker, HistoryPolicy, PresenceEventKind, Publication } from '../broker/broker.ts'
import type { Outbox } from '../connection/outbox.ts'
import type { Turn } from '../connection/turn.ts'
import type { Position } from '../protocol/position.ts'
import type { TagsFilter } from '../protocol/tags-filter.ts'
import type { Limiter } from '../timing/limiter.ts'
import type { Timed } from '../timing/timer-wheel.ts'
import { StreamCursor, type Subscriber } from './cursor.ts'
import { Feed, type Format } from './feed.ts'
import { continuityOf, type PreparedStream, type Recovery, type StartingPoint } from './recovery.ts'
import type { SubscribeResult } from './subscribe-options.ts'

/** What all channels of a node share. */
export interface ChannelServices {
  readonly broker: Broker
  readonly turn: Turn
  /** Limits how many calls to the broker run at a time. */
  readonly limiter: Limiter
  readonly recovery: Recovery
  /** The outbox of a connection of this node. */
  outboxOf(connection: string): Outbox | undefined
  /** A call to the broker failed. The channel tries again with the next audit. */
  failed(stage: string, error: unknown): void
  /** The missed publications were read from history (`complete`), or there is a gap. */
  repaired(complete: boolean): void
  /** Publications are handed out, so many milliseconds after the oldest was published. */
  delivered(lag: number): void
  /** Deltas were handed out. They are so many bytes smaller than the publications. */
  deltasSaved?(bytes: number): void
  /** A publication without a position came, but the channel has a history on this node. */
  unpositioned(channel: string): void
  /** The channel has had no subscriber for a while. */
  unused(channel: Channel): void
}

// How many publications are kept while the channel's position is unknown or being repaired. Any further ones are read
// from history.
const MAX_PENDING = 4_096

/**
 * One channel on this node: its subscribers and their positions. All live subscribers have received everything up to
 * the position of the channel. So one check (`offset === last + 1`) and one repair are enough for all of them.
 */
export class Channel implements Timed {
  readonly name: string
  /** Undefined if the channel has no history. Then publications have no position, and cannot be recovered. */
  readonly history: HistoryPolicy | undefined
  /** Only the newest publication counts. A subscriber that missed some receives that one, and has no gap. */
  readonly isLatestOnly: boolean
  readonly services: ChannelServices
  /** One for each format in use. */
  #feeds: readonly Feed[] = []
  /** Cursors that are not live. Undefined if there are none. */
  #notLive: Set<StreamCursor> | undefined
  #size = 0
  #isOpen = false
  #opening: Promise<void> | undefined
  #offset = 0
  #epoch = ''
  /** Publications that came while the node's position is unknown or being repaired. Undefined otherwise. */
  #pending: Publication[] | undefined
  #repairing: Promise<void> | undefined
  /**
   * An audit was due while the position was unknown. It is done later: what is being read may be from before the loss.
   */
  #auditDue = false
  #closed = false
  wheelTick = -1

  constructor(name: string, history: HistoryPolicy | undefined, services: ChannelServices, isLatestOnly = false) {
    this.name = name
    this.history = history
    this.isLatestOnly = isLatestOnly
    this.services = services
  }

  /** The number of cursors, live or not. */
  get size(): number {
    return this.#size
  }

  get position(): Position {
    return { offset: this.#offset, epoch: this.#epoch }
  }

  /** Makes a subscriber's cursor. `subscribe` or `prepare` starts it. */
  add(subscriber: Subscriber, format: Format, filter?: TagsFilter): StreamCursor {
    this.#size++
    return new StreamCursor(subscriber, this.#feed(format), filter)
  }

  /**
   * Starts a cursor. Resolves once the publications after `since` are queued for it. Newer ones are queued afterwards,
   * when the callers that await this have run. Rejects if the broker is not available.
   */
  subscribe(cursor: StreamCursor, since: StartingPoint | undefined): Promise<SubscribeResult> {
    return this.#start(cursor, () => this.services.recovery.deliver(this, cursor, this.history && since))
  }

  /** Like `subscribe`, but the result holds what the subscriber missed, and nothing is sent until `begin` is called. */
  prepare(cursor: StreamCursor, since: StartingPoint | undefined): Promise<PreparedStream> {
    return this.#start(cursor, () => this.services.recovery.prepare(this, cursor, this.history && since))
  }

  #start<Result extends SubscribeResult>(cursor: StreamCursor, start: () => Promise<Result>): Promise<Result> {
    const joined = this.#join(cursor, start)
    cursor.joined = joined
    return joined
  }

  async #join<Result>(cursor: StreamCursor, start: () => Promise<Result>): Promise<Result> {
    try {
      if (!this.#isOpen) await this.#open()
      if (!cursor.ended) this.#addNotLive(cursor)
      return await start()
    } finally {
      cursor.joined = undefined
    }
  }

  unsubscribe(cursor: StreamCursor): void {
    this.#size--
    cursor.end()
    this.#removeNotLive(cursor)
  }

  /** The wheel calls this when the channel has had no subscriber for a while. */
  onDue(): number {
    this.services.unused(this)
    return Number.POSITIVE_INFINITY
  }

  close(): void {
    this.#closed = true
    this.services.broker.unsubscribe(this.name).catch((error) => this.services.failed('unsubscribe', error))
  }

  /** A publication came from the broker. */
  receive(publication: Publication): void {
    const { offset, epoch } = publication
    const { history } = this
    if (offset === 0 && history !== undefined) this.services.unpositioned(this.name)
    if (history === undefined || offset === 0) this.#distribute(publication)
    else if (this.#pending !== undefined) this.#keep(this.#pending, publication)
    // The channel could not be opened, so it has no subscribers.
    else if (this.#epoch === '') return
    else if (epoch === this.#epoch && offset <= this.#offset) return
    else if (epoch === this.#epoch && offset === this.#offset + 1) {
      this.#offset = offset
      this.#distribute(publication)
    } else {
      void this.repair()
    }
  }

  /** Sends a join or a leave to the live subscribers, in the formats that have a message for it. */
  announce(kind: PresenceEventKind, info: Buffer): void {
    for (const feed of this.#feeds) {
      const { format, size } = feed
      if (format.presence !== undefined && size > 0) feed.announce(format.presence(this.name, kind, info))
    }
  }

  /** How many subscribers receive joins and leaves. */
  get audience(): number {
    return this.#feeds.reduce((sum, { format, size }) => sum + (format.presence === undefined ? 0 : size), 0)
  }

  /** Compares the position with the broker's, and repairs it if publications were missed. */
  async audit(): Promise<void> {
    if (this.history === undefined) return
    if (this.#repairing !== undefined || this.#epoch === '') {
      this.#auditDue = true
      return
    }
    if (this.#pending !== undefined) return this.repair()
    for (const cursor of this.#notLive ?? []) this.caughtUp(cursor)
    const { broker, limiter, failed } = this.services
    const { offset, epoch } = this.position
    try {
      const { position } = await limiter.run(() => broker.history(this.name, { limit: 0 }))
      // Publications that came during the call may have moved our position past the one that was read.
      const missed = position.epoch !== this.#epoch || position.offset > this.#offset || position.offset < offset
      if (missed && epoch === this.#epoch && this.#pending === undefined && !this.#closed) await this.repair()
    } catch (error) {
      failed('audit', error)
    }
  }

  /** If the cursor's reader has caught up, reads from history what the cursor missed meanwhile. */
  caughtUp(cursor: StreamCursor): void {
    const { behind, buffer, subscriber } = cursor
    // A cursor with a buffer is still joining, and will catch up at the end of that.
    if (behind && buffer === undefined && !subscriber.outbox.lagging) void this.services.recovery.catchUp(this, cursor)
  }

  /** Reads from history what this node has missed, and detects another epoch. Never rejects. */
  repair(): Promise<void> {
    this.#repairing ??= this.#readMissed()
    return this.#repairing
  }

  /** Makes the cursors live that are at the position of this node. */
  promote(): void {
    if (this.#notLive === undefined || this.#pending !== undefined) return
    for (const cursor of this.#notLive) {
      const { buffer, behind, offset, feed } = cursor
      // A cursor that is ahead waits until this node has received what the cursor was sent from history.
      if (buffer !== undefined || behind || offset !== this.#offset) continue
      this.#removeNotLive(cursor)
      feed.join(cursor)
    }
  }

  /** A live cursor's reader is slow. It has received everything up to `offset`. */
  fallBehind(cursor: StreamCursor, offset: number): void {
    cursor.feed.drop(cursor)
    cursor.moveTo({ offset, epoch: this.#epoch })
    cursor.behind = true
    this.#addNotLive(cursor)
  }

  #addNotLive(cursor: StreamCursor): void {
    this.#notLive ??= new Set()
    this.#notLive.add(cursor)
  }

  #removeNotLive(cursor: StreamCursor): void {
    this.#notLive?.delete(cursor)
    if (this.#notLive?.size === 0) this.#notLive = undefined
  }

  #feed(format: Format): Feed {
    let feed = this.#feeds.find((one) => one.format === format)
    if (feed === undefined) {
      feed = new Feed(format, this)
      feed.skipTo(this.#offset)
      this.#feeds = [...this.#feeds, feed]
    }
    return feed
  }

  /** Subscribes this node to the channel. */
  #open(): Promise<void> {
    this.#opening ??= this.#findPosition().finally(() => {
      this.#opening = undefined
    })
    return this.#opening
  }

  async #findPosition(): Promise<void> {
    const { broker, limiter } = this.services
    if (this.history !== undefined) this.#pending = []
    try {
      await broker.subscribe(this.name)
      if (this.history !== undefined) {
        const { position } = await limiter.run(() => broker.history(this.name, { limit: 0 }))
        // The feeds have received no publication yet. A cursor that falls behind at once must start after this
        // position.
        for (const feed of this.#feeds) feed.skipTo(position.offset)
        this.#continueAfter(position)
      }
      this.#isOpen = true
    } catch (error) {
      this.#pending = undefined
      throw error
    }
  }

  /** Sets the position of this node, and receives the publications that were kept until now. */
  #continueAfter({ offset, epoch }: Position): void {
    const pending = this.#pending as Publication[]
    this.#pending = undefined
    this.#offset = offset
    this.#epoch = epoch
    for (const publication of pending) this.receive(publication)
    this.promote()
    if (!this.#auditDue) return
    this.#auditDue = false
    void this.audit()
  }

  #keep(pending: Publication[], publication: Publication): void {
    // A publication that is dropped here is in history. The next repair reads it.
    if (pending.length < MAX_PENDING) pending.push(publication)
    // A repair has failed: tries again. While the broker is not available, this would fail with each publication; the
    // broker requests an audit when it is available again.
    if (this.#repairing === undefined && this.#epoch !== '' && this.services.broker.up) void this.repair()
  }

  /** Reads from history what this node has missed, page by page, once for all subscribers. */
  async #readMissed(): Promise<void> {
    const { failed, repaired, recovery } = this.services
    try {
      for (;;) {
        // The publications that were kept until now are in history. Those that come from now on may not be in the page.
        this.#pending = []
        const since = this.position
        const page = await recovery.read(this.name, since)
        const continuity = continuityOf(since, page, this.isLatestOnly)
        if (continuity === 'gap') this.#declareGap(page.position)
        else for (const publication of page.publications) this.#advance(publication)
        if (continuity === 'partial') continue
        this.#repairing = undefined
        repaired(continuity === 'complete')
        this.#continueAfter(page.position)
        return
      }
    } catch (error) {
      this.#repairing = undefined
      failed('repair', error)
    }
  }

  #advance(publication: Publication): void {
    this.#offset = publication.offset
    this.#distribute(publication)
  }

  /** Missed publications up to this position are no longer available: informs all subscribers. */
  #declareGap(position: Position): void {
    for (const feed of this.#feeds) {
      feed.handOut('during')
      feed.skipTo(position.offset)
    }
    const cursors = [...this.#feeds.flatMap((feed) => feed.cursors), ...(this.#notLive ?? [])]
    for (const cursor of cursors) {
      // The subscriber of an earlier cursor may have ended this one because of the gap.
      if (cursor.ended) continue
      if (cursor.buffer !== undefined) {
        cursor.buffer = []
        cursor.gap = position
      } else if (!this.#isPast(cursor, position)) cursor.declareGap(position)
    }
  }

  /** True for a cursor that was sent publications from history up to this position or further: it has no gap. */
  #isPast(cursor: StreamCursor, { offset, epoch }: Position): boolean {
    return !cursor.live && epoch === this.#epoch && cursor.offset >= offset
  }

  #distribute(publication: Publication): void {
    const { offset, except } = publication
    const excepted = except === undefined ? undefined : this.services.outboxOf(except)
    for (const feed of this.#feeds) {
      if (feed.size === 0 && this.#notLive === undefined) {
        // A publication without a position changes no position.
        if (offset > 0) feed.skipTo(offset)
        continue
      }
      const frame = feed.encode(publication)
      feed.add(frame, publication, excepted)
      for (const cursor of this.#notLive ?? []) {
        if (cursor.feed !== feed) continue
        const isExcluded = cursor.subscriber.outbox === excepted || !cursor.accepts(publication)
        cursor.receive({ offset, frame: isExcluded ? undefined : frame })
      }
    }
    this.promote()
  }
}
