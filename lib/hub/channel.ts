import type { Broker, HistoryPolicy, PresenceEventKind, Publication } from '../broker/broker.ts'
import type { Outbox } from '../connection/outbox.ts'
import type { Turn } from '../connection/turn.ts'
import type { Position } from '../protocol/position.ts'
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
  /** Bounds how many ask the broker at a time. */
  readonly limiter: Limiter
  readonly recovery: Recovery
  /** Where the publications for a connection of this node go. */
  outboxOf(connection: string): Outbox | undefined
  /** The broker could not be asked. The channel tries again with the next audit. */
  failed(stage: string, error: unknown): void
  /** Positions were repaired, or could not be. */
  repaired(complete: boolean): void
  /** Publications go to their subscribers, the oldest so many milliseconds after it was published. */
  delivered(lag: number): void
  /** A publication without a position came, though this node keeps a history of the channel. */
  unpositioned(channel: string): void
  /** The channel has had no subscriber for a while. */
  unused(channel: Channel): void
}

// Publications kept while the channel's own position is being repaired; beyond it they are read from history.
const MAX_HELD = 4_096

/**
 * One channel on this node: its subscribers, and how far they are. Every subscriber that is live has been given
 * everything up to the channel's own position, so one check (`offset === last + 1`) and one repair serve them all.
 */
export class Channel implements Timed {
  readonly name: string
  /** Undefined: publications have no position, and what is missed is missed. */
  readonly history: HistoryPolicy | undefined
  readonly services: ChannelServices
  /** One for each format in use. */
  #feeds: readonly Feed[] = []
  /** Cursors that are not live; no set if there are none. */
  #aside: Set<StreamCursor> | undefined
  #size = 0
  #isOpen = false
  #opening: Promise<void> | undefined
  #offset = 0
  #epoch = ''
  /** What arrives while the node's own position is not known. */
  #held: Publication[] | undefined
  #repairing: Promise<void> | undefined
  /** An audit was due while the position was not known. What was read then may be from before the loss. */
  #auditDue = false
  #closed = false
  wheelTick = -1

  constructor(name: string, history: HistoryPolicy | undefined, services: ChannelServices) {
    this.name = name
    this.history = history
    this.services = services
  }

  /** Cursors, live or not. */
  get size(): number {
    return this.#size
  }

  get position(): Position {
    return { offset: this.#offset, epoch: this.#epoch }
  }

  /** Makes a subscriber's cursor. `subscribe` or `prepare` starts it. */
  add(subscriber: Subscriber, format: Format): StreamCursor {
    this.#size++
    return new StreamCursor(subscriber, this.#feed(format))
  }

  /**
   * Starts a cursor. Resolves once what it missed `since` is queued for it; what is newer is queued after those who
   * await this have had their turn. Rejects if the broker can't be reached.
   */
  subscribe(cursor: StreamCursor, since: StartingPoint | undefined): Promise<SubscribeResult> {
    return this.#start(cursor, () => this.services.recovery.deliver(this, cursor, this.history && since))
  }

  /** As `subscribe`, but the subscriber takes what it missed, and is given nothing until it calls `begin`. */
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
      if (!cursor.ended) this.#putAside(cursor)
      return await start()
    } finally {
      cursor.joined = undefined
    }
  }

  unsubscribe(cursor: StreamCursor): void {
    this.#size--
    cursor.end()
    this.#takeBack(cursor)
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
    if (history === undefined || offset === 0) this.#spread(publication)
    else if (this.#held !== undefined) this.#hold(this.#held, publication)
    // It could not be opened, and nobody is subscribed.
    else if (this.#epoch === '') return
    else if (epoch === this.#epoch && offset <= this.#offset) return
    else if (epoch === this.#epoch && offset === this.#offset + 1) {
      this.#offset = offset
      this.#spread(publication)
    } else {
      void this.repair()
    }
  }

  /** Sends a join or a leave to the live subscribers, in the formats that have a message for it. */
  announce(kind: PresenceEventKind, info: Buffer): void {
    for (const feed of this.#feeds) {
      const { format, size } = feed
      if (format.presence !== undefined && size > 0) feed.add(format.presence(this.name, kind, info), 0)
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
    if (this.#held !== undefined) return this.repair()
    for (const cursor of this.#aside ?? []) this.caughtUp(cursor)
    const { broker, limiter, failed } = this.services
    const { offset, epoch } = this.position
    try {
      const { position } = await limiter.run(() => broker.history(this.name, { limit: 0 }))
      // What came meanwhile has moved our own position past the one that was asked for.
      const missed = position.epoch !== this.#epoch || position.offset > this.#offset || position.offset < offset
      if (missed && epoch === this.#epoch && this.#held === undefined && !this.#closed) await this.repair()
    } catch (error) {
      failed('audit', error)
    }
  }

  /** The cursor's reader may have caught up: if it has, what the cursor missed meanwhile comes from history. */
  caughtUp(cursor: StreamCursor): void {
    const { behind, buffer, subscriber } = cursor
    // With a buffer its joining is not over, and ends with this.
    if (behind && buffer === undefined && !subscriber.outbox.lagging) void this.services.recovery.catchUp(this, cursor)
  }

  /** Finds out how far the history is, and whether it is still the same. Never rejects. */
  repair(): Promise<void> {
    this.#repairing ??= this.#readMissed()
    return this.#repairing
  }

  /** Makes those live that stand beside a feed and have come level with it. */
  promote(): void {
    if (this.#aside === undefined || this.#held !== undefined) return
    for (const cursor of this.#aside) {
      const { buffer, behind, offset, feed } = cursor
      // One that is further than this node waits for the publications that it already has.
      if (buffer !== undefined || behind || offset !== this.#offset) continue
      this.#takeBack(cursor)
      feed.join(cursor)
    }
  }

  /** A live cursor's reader is slow. It has been given everything up to `offset`. */
  fallBehind(cursor: StreamCursor, offset: number): void {
    cursor.feed.drop(cursor)
    cursor.moveTo({ offset, epoch: this.#epoch })
    cursor.behind = true
    this.#putAside(cursor)
  }

  #putAside(cursor: StreamCursor): void {
    this.#aside ??= new Set()
    this.#aside.add(cursor)
  }

  #takeBack(cursor: StreamCursor): void {
    this.#aside?.delete(cursor)
    if (this.#aside?.size === 0) this.#aside = undefined
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
    if (this.history !== undefined) this.#held = []
    try {
      await broker.subscribe(this.name)
      if (this.history !== undefined) {
        const { position } = await limiter.run(() => broker.history(this.name, { limit: 0 }))
        // Nothing was published to a feed yet: a cursor that falls behind at once has been given all before this.
        for (const feed of this.#feeds) feed.skipTo(position.offset)
        this.#goOnFrom(position)
      }
      this.#isOpen = true
    } catch (error) {
      this.#held = undefined
      throw error
    }
  }

  /** Takes a position for this node's, and with it what was held. */
  #goOnFrom({ offset, epoch }: Position): void {
    const held = this.#held as Publication[]
    this.#held = undefined
    this.#offset = offset
    this.#epoch = epoch
    for (const publication of held) this.receive(publication)
    this.promote()
    if (!this.#auditDue) return
    this.#auditDue = false
    void this.audit()
  }

  #hold(held: Publication[], publication: Publication): void {
    // What is dropped here is in history, and found missing by the next repair.
    if (held.length < MAX_HELD) held.push(publication)
    // A repair has failed. While the broker is away, one with each publication would fail too; when it is back, it asks
    // for an audit.
    if (this.#repairing === undefined && this.#epoch !== '' && this.services.broker.up) void this.repair()
  }

  /** Reads what was missed from history, page by page, once for all subscribers. */
  async #readMissed(): Promise<void> {
    const { failed, repaired, recovery } = this.services
    try {
      for (;;) {
        // What was held so far is in history by now; what comes from here on may not be in what is read.
        this.#held = []
        const since = this.position
        const page = await recovery.read(this.name, since)
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

  /** What lies before this position is no longer available. */
  #declareHole(position: Position): void {
    for (const feed of this.#feeds) {
      feed.handOut('during')
      feed.skipTo(position.offset)
    }
    const cursors = [...this.#feeds.flatMap((feed) => feed.cursors), ...(this.#aside ?? [])]
    for (const cursor of cursors) {
      // Another one's subscriber may have ended it because of the hole.
      if (cursor.ended) continue
      if (cursor.buffer !== undefined) {
        cursor.buffer = []
        cursor.hole = position
      } else if (!this.#isPast(cursor, position)) cursor.declareHole(position)
    }
  }

  /** True for one that has read further from history than this node has. */
  #isPast(cursor: StreamCursor, { offset, epoch }: Position): boolean {
    return !cursor.live && epoch === this.#epoch && cursor.offset >= offset
  }

  #spread(publication: Publication): void {
    const { offset, except } = publication
    const excepted = except === undefined ? undefined : this.services.outboxOf(except)
    for (const feed of this.#feeds) {
      if (feed.size === 0 && this.#aside === undefined) {
        // A publication without a position moves nobody's.
        if (offset > 0) feed.skipTo(offset)
        continue
      }
      const frame = feed.encode(publication)
      feed.add(frame, offset, publication.time, excepted)
      for (const cursor of this.#aside ?? []) {
        if (cursor.feed !== feed) continue
        cursor.take({ offset, frame: cursor.subscriber.outbox === excepted ? undefined : frame })
      }
    }
    this.promote()
  }
}
