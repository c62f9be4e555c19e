import type { Broker, HistoryPolicy, PresenceEventKind, Publication } from '../broker/broker.ts'
import type { Outbox } from '../connection/outbox.ts'
import type { Turn } from '../connection/turn.ts'
import type { Position } from '../protocol/position.ts'
import type { Limiter } from '../timing/limiter.ts'
import { StreamCursor, type Subscriber } from './cursor.ts'
import { Feed, type Format } from './feed.ts'
import { continuityOf, type PreparedStream, Recovery, type StartingPoint } from './recovery.ts'
import type { SubscribeResult } from './subscribe-options.ts'

export interface ChannelParts {
  readonly name: string
  readonly broker: Broker
  readonly turn: Turn
  /** Bounds how many ask the broker at a time. */
  readonly limiter: Limiter
  /** Where the publications for a connection of this node go. */
  outboxOf(connection: string): Outbox | undefined
  /** Undefined: publications have no position, and what is missed is missed. */
  readonly history: HistoryPolicy | undefined
  /** The broker could not be asked. The channel tries again when it is told to audit. */
  failed(stage: string, error: unknown): void
  /** Positions were repaired, or could not be. */
  repaired(complete: boolean): void
  /** Publications go to their subscribers, the oldest so many milliseconds after it was published. */
  delivered(lag: number): void
  /** A subscriber that gave its position was given all that it had missed, or was told that it could not be. */
  recovered(complete: boolean): void
  /** A publication without a position came, though this node keeps a history of the channel. */
  unpositioned(channel: string): void
}

// Publications kept while the channel's own position is being repaired; beyond it they are read from history.
const MAX_HELD = 4_096

/**
 * One channel on this node: its subscribers, and how far they are. Every subscriber that is live has been given
 * everything up to the channel's own position, so one check (`offset === last + 1`) and one repair serve them all.
 */
export class Channel {
  readonly name: string
  readonly #options: ChannelParts
  readonly #feeds = new Map<Format, Feed>()
  readonly #cursors = new Map<Subscriber, StreamCursor>()
  /** Subscriptions that are not live. */
  readonly #joining = new Set<StreamCursor>()
  #opened: Promise<void> | undefined
  readonly #recovery: Recovery
  #offset = 0
  #epoch = ''
  /** What arrives while the position is being found out. */
  #held: Publication[] | undefined
  #repairing: Promise<void> | undefined
  /** Told to audit while the position was being found out: what was read may be from before the loss. */
  #unsure = false
  #closed = false

  constructor(options: ChannelParts) {
    this.name = options.name
    this.#options = options
    this.#recovery = new Recovery(options, {
      position: () => this.position,
      isCurrent: (cursor) => this.#isCurrent(cursor),
      repair: () => this.#repair(),
      attempt: (action) => options.turn.attempt(action),
      promote: () => this.#promote()
    })
  }

  get size(): number {
    return this.#cursors.size
  }

  has(subscriber: Subscriber): boolean {
    return this.#cursors.has(subscriber)
  }

  get position(): Position {
    return { offset: this.#offset, epoch: this.#epoch }
  }

  /**
   * Adds a subscriber. Resolves once what it missed `since` is queued for it; what is newer is queued after those who
   * await this have had their turn. Rejects where the broker can't be reached; then it is not subscribed.
   */
  subscribe(subscriber: Subscriber, format: Format, since: StartingPoint | undefined): Promise<SubscribeResult> {
    const cursor = this.#add(subscriber, format)
    return this.#join(cursor, () => this.#recovery.deliver(cursor, this.#options.history && since))
  }

  /** As `subscribe`, but the subscriber takes what it missed, and is given nothing until it says so. */
  prepare(subscriber: Subscriber, format: Format, since: StartingPoint | undefined): Promise<PreparedStream> {
    const cursor = this.#add(subscriber, format)
    return this.#join(cursor, () => this.#recovery.prepare(cursor, this.#options.history && since))
  }

  #add(subscriber: Subscriber, format: Format): StreamCursor {
    const cursor = new StreamCursor(subscriber, this.#feed(format))
    this.#cursors.set(subscriber, cursor)
    return cursor
  }

  async #join<Result extends SubscribeResult>(cursor: StreamCursor, begin: () => Promise<Result>): Promise<Result> {
    const joined = this.#begin(cursor, begin)
    cursor.joined = joined
    try {
      return await joined
    } catch (error) {
      if (this.#isCurrent(cursor)) this.unsubscribe(cursor.subscriber)
      throw error
    }
  }

  async #begin<Result>(cursor: StreamCursor, begin: () => Promise<Result>): Promise<Result> {
    try {
      await this.open()
      if (this.#isCurrent(cursor)) this.#joining.add(cursor)
      return await begin()
    } finally {
      cursor.joined = undefined
    }
  }

  /** Resolves once a subscriber that is joining has joined; rejects if it could not. */
  async joined(subscriber: Subscriber): Promise<void> {
    await this.#cursors.get(subscriber)?.joined
  }

  unsubscribe(subscriber: Subscriber): void {
    const cursor = this.#cursors.get(subscriber)
    if (cursor === undefined) return
    this.#cursors.delete(subscriber)
    this.#joining.delete(cursor)
    cursor.feed.leave(cursor)
  }

  /** Subscribes this node to the channel. */
  open(): Promise<void> {
    this.#opened ??= this.#open().catch((error) => {
      this.#opened = undefined
      this.#held = undefined
      throw error
    })
    return this.#opened
  }

  close(): void {
    this.#closed = true
    this.#options.broker.unsubscribe(this.name).catch((error) => this.#options.failed('unsubscribe', error))
  }

  /** A publication came from the broker. */
  receive(publication: Publication): void {
    const { offset, epoch } = publication
    const { history, unpositioned } = this.#options
    if (offset === 0 && history !== undefined) unpositioned(this.name)
    if (history === undefined || offset === 0) this.#spread(publication)
    else if (this.#held !== undefined) this.#hold(this.#held, publication)
    // Not open: it could not be, and nobody is subscribed.
    else if (this.#epoch === '') return
    else if (epoch === this.#epoch && offset <= this.#offset) return
    else if (epoch === this.#epoch && offset === this.#offset + 1) {
      this.#offset = offset
      this.#spread(publication)
    } else {
      void this.#repair()
    }
  }

  /** Tells the live subscribers who came or went, in the formats that have words for it. */
  announce(kind: PresenceEventKind, info: Buffer): void {
    for (const [format, feed] of this.#feeds) {
      if (format.presence !== undefined && feed.size > 0) feed.add(format.presence(this.name, kind, info), 0)
    }
  }

  /** How many are told that. */
  get audience(): number {
    let size = 0
    for (const [format, feed] of this.#feeds) if (format.presence !== undefined) size += feed.size
    return size
  }

  /** Compares the position with the broker's, and repairs it where publications were missed. */
  async audit(): Promise<void> {
    if (this.#options.history === undefined) return
    if (this.#repairing !== undefined || this.#epoch === '') {
      this.#unsure = true
      return
    }
    if (this.#held !== undefined) return this.#repair()
    for (const cursor of this.#joining) if (cursor.behind) this.caughtUp(cursor.subscriber)
    const { broker, limiter } = this.#options
    const { offset, epoch } = this.position
    try {
      const { position } = await limiter.run(() => broker.history(this.name, { limit: 0 }))
      // What came meanwhile has moved our own position past the one that was asked for.
      const missed = position.epoch !== this.#epoch || position.offset > this.#offset || position.offset < offset
      if (missed && epoch === this.#epoch && this.#held === undefined && !this.#closed) await this.#repair()
    } catch (error) {
      this.#options.failed('audit', error)
    }
  }

  /** The subscriber's reader has caught up: what it missed meanwhile comes from history. */
  caughtUp(subscriber: Subscriber): void {
    const cursor = this.#cursors.get(subscriber)
    if (cursor?.behind && !subscriber.outbox.lagging) void this.#recovery.catchUp(cursor)
  }

  #feed(format: Format): Feed {
    let feed = this.#feeds.get(format)
    if (feed === undefined) {
      const { history, turn, delivered } = this.#options
      feed = new Feed({
        format,
        channel: this.name,
        turn,
        fellBehind: history && ((cursor, offset) => this.#fallBehind(cursor, offset)),
        delivered
      })
      feed.skipTo(this.#offset)
      this.#feeds.set(format, feed)
    }
    return feed
  }

  #isCurrent(cursor: StreamCursor): boolean {
    return this.#cursors.get(cursor.subscriber) === cursor
  }

  async #open(): Promise<void> {
    const { broker, history, limiter } = this.#options
    if (history !== undefined) this.#held = []
    await broker.subscribe(this.name)
    if (history === undefined) return
    const { position } = await limiter.run(() => broker.history(this.name, { limit: 0 }))
    // Nothing was published to a feed yet: whoever falls behind at once has been given all before this.
    for (const feed of this.#feeds.values()) feed.skipTo(position.offset)
    this.#goOnFrom(position)
  }

  /** Takes a position for this node's, and with it what was held. */
  #goOnFrom({ offset, epoch }: Position): void {
    const held = this.#held as Publication[]
    this.#held = undefined
    this.#offset = offset
    this.#epoch = epoch
    for (const publication of held) this.receive(publication)
    this.#promote()
    if (!this.#unsure) return
    this.#unsure = false
    void this.audit()
  }

  #hold(held: Publication[], publication: Publication): void {
    // What is dropped here is in history, and found missing by the next repair.
    if (held.length < MAX_HELD) held.push(publication)
    // A repair has failed. While the broker is away each publication would fail another; once it is back, it says so.
    if (this.#repairing === undefined && this.#epoch !== '' && this.#options.broker.up) void this.#repair()
  }

  #repair(): Promise<void> {
    this.#repairing ??= this.#readMissed()
    return this.#repairing
  }

  /** Reads what was missed from history, page by page, once for all subscribers. */
  async #readMissed(): Promise<void> {
    const { failed, repaired } = this.#options
    try {
      for (;;) {
        // What was held so far is in history by now; what comes from here on may not be in what is read.
        this.#held = []
        const since = this.position
        const page = await this.#recovery.read(since)
        const continuity = continuityOf(since, page)
        if (continuity === 'hole') this.#declareHole(page.position)
        else for (const publication of page.publications) this.#step(publication)
        if (continuity === 'partial') continue
        this.#repairing = undefined
        repaired(continuity === 'complete')
        this.#goOnFrom(page.position)
        return
      }
    } catch (error) {
      this.#repairing = undefined
      failed('repair', error)
    }
  }

  #step(publication: Publication): void {
    this.#offset = publication.offset
    this.#spread(publication)
  }

  /** Nobody can be given what lies before this position any more. */
  #declareHole(position: Position): void {
    for (const feed of this.#feeds.values()) {
      feed.handOut('during')
      feed.skipTo(position.offset)
    }
    for (const cursor of this.#cursors.values()) {
      if (cursor.buffer !== undefined) {
        cursor.buffer = []
        cursor.hole = position
      } else if (!this.#isPast(cursor, position)) cursor.tellHole(this.name, position)
    }
  }

  /** True for one that has read further from history than this node has. */
  #isPast(cursor: StreamCursor, { offset, epoch }: Position): boolean {
    return this.#joining.has(cursor) && epoch === this.#epoch && cursor.offset >= offset
  }

  #spread(publication: Publication): void {
    const { offset, except } = publication
    const excepted = except === undefined ? undefined : this.#options.outboxOf(except)
    for (const feed of this.#feeds.values()) {
      if (feed.size === 0 && this.#joining.size === 0) {
        // A publication without a position moves nobody's.
        if (offset > 0) feed.skipTo(offset)
        continue
      }
      const frame = feed.encode(publication)
      feed.add(frame, offset, publication.time, excepted)
      for (const cursor of this.#joining) {
        if (cursor.feed !== feed) continue
        cursor.take({ offset, frame: cursor.subscriber.outbox === excepted ? undefined : frame })
      }
    }
    this.#promote()
  }

  /** Those beside the feed that have come level with it go live. */
  #promote(): void {
    if (this.#joining.size === 0 || this.#held !== undefined) return
    for (const cursor of this.#joining) {
      const { buffer, behind, offset, feed } = cursor
      if (buffer !== undefined || behind || offset < this.#offset) continue
      // Further than this node: it waits for the publications that it already has.
      if (offset > this.#offset) continue
      this.#joining.delete(cursor)
      feed.join(cursor)
    }
  }

  #fallBehind(cursor: StreamCursor, offset: number): void {
    cursor.feed.drop(cursor)
    cursor.moveTo({ offset, epoch: this.#epoch })
    cursor.behind = true
    this.#joining.add(cursor)
  }
}
