import type { Broker, HistoryPage, Publication } from '../broker/broker.ts'
import type { StreamPosition, SubscribeResult } from '../connection/context.ts'
import type { Outbox } from '../connection/outbox.ts'
import { UnavailableError } from '../errors.ts'
import type { Limiter } from '../timing/limiter.ts'
import type { Subscription } from './subscription.ts'

/** Where a subscriber wants to go on: after a position, or from the first publication that is kept. */
export type Since = StreamPosition | 'start'

/**
 * Tells a subscriber where it stands, and hands over what it missed, before anything newer is queued for it. Gives how
 * many of those it took (all, unless told): the rest comes as frames, as fast as its reader takes them. Called at most
 * once; while its promise is pending, what is published is kept for the subscriber.
 */
export type Welcome = (
  result: SubscribeResult,
  missed: readonly Publication[]
  // biome-ignore lint/suspicious/noConfusingVoidType: whoever takes everything need not say so
) => number | void | Promise<number | void>

/**
 * How a page of history goes on from a position: up to the newest (`complete`), part of the way (`partial`: the next
 * page goes on from there), or not at all (`hole`: something in between is gone, or it is another history).
 */
export type Continuity = 'complete' | 'partial' | 'hole'

export function continuityOf(since: StreamPosition, { publications, position }: HistoryPage): Continuity {
  const isContiguous = publications.every(({ offset }, index) => offset === since.offset + index + 1)
  if (since.epoch !== position.epoch || since.offset > position.offset || !isContiguous) return 'hole'
  if (since.offset + publications.length === position.offset) return 'complete'
  return publications.length > 0 ? 'partial' : 'hole'
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
  position(): StreamPosition
  /** Whether the subscription is still wanted. */
  isCurrent(subscription: Subscription): boolean
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
  async read({ offset, epoch }: StreamPosition): Promise<HistoryPage> {
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
   * Gives a new subscriber what it missed. Resolves once that is queued; what is newer is queued after those who await
   * this have had their turn, or, with a `welcome`, after that is done.
   */
  async begin(
    subscription: Subscription,
    since: Since | undefined,
    welcome: Welcome | undefined
  ): Promise<SubscribeResult> {
    const from = since === 'start' ? { ...this.#channel.position(), offset: 0 } : since
    if (!isPosition(from)) {
      const result = { recovered: false, ...this.#channel.position() }
      subscription.moveTo(result)
      subscription.buffer = []
      if (welcome !== undefined) await this.#introduce(subscription, result, [], welcome)
      else this.#goLiveAfter(subscription)
      return result
    }
    const page = await this.#readFor(subscription, from)
    const continuity = continuityOf(from, page)
    const recovered = continuity !== 'hole'
    const result = { recovered, ...positionOf(page) }
    if (!this.#channel.isCurrent(subscription)) return { ...result, recovered: false }
    subscription.moveTo(recovered ? from : result)
    const missed = recovered ? page.publications : []
    if (welcome === undefined) return await this.#deliver(subscription, result, missed, continuity)
    this.#options.recovered(recovered)
    subscription.behind = continuity === 'partial'
    await this.#introduce(subscription, result, missed, welcome)
    return result
  }

  /** The subscriber's reader takes again what it is sent: gives what it missed meanwhile. */
  async catchUp(subscription: Subscription): Promise<void> {
    try {
      const { continuity, position } = await this.#readOn(subscription)
      if (!this.#channel.isCurrent(subscription)) return
      if (continuity === 'hole') subscription.tellHole(this.#options.name, position)
      if (continuity !== 'partial') {
        this.#goLive(subscription)
        return
      }
    } catch (error) {
      this.#options.failed('catch up', error)
    }
    subscription.buffer = undefined
    subscription.behind = true
  }

  /** Queues what was missed, page by page unless the reader is slow: what is left then comes as it reads. */
  async #deliver(
    subscription: Subscription,
    result: SubscribeResult,
    missed: readonly Publication[],
    continuity: Continuity
  ): Promise<SubscribeResult> {
    this.#give(subscription, missed)
    let told = result
    if (continuity === 'partial' && !subscription.behind) {
      const rest = await this.#readOn(subscription)
      told = { recovered: rest.continuity !== 'hole', ...rest.position }
      if (!told.recovered) subscription.moveTo(told)
    }
    this.#options.recovered(told.recovered)
    this.#goLiveAfter(subscription)
    return told
  }

  /** Lets the subscriber be told where it stands, and what it missed, while what is newer is kept back. */
  async #introduce(
    subscription: Subscription,
    result: SubscribeResult,
    missed: readonly Publication[],
    welcome: Welcome
  ): Promise<void> {
    subscription.buffer ??= []
    const taken = (await welcome(result, missed)) ?? missed.length
    subscription.offset += taken
    if (taken < missed.length) subscription.behind = true
    this.#goLive(subscription)
  }

  /** Gives page after page, until all is given (`complete`), the reader is slow (`partial`), or there is a hole. */
  async #readOn(subscription: Subscription): Promise<{ continuity: Continuity; position: StreamPosition }> {
    let position = this.#channel.position()
    while (!subscription.subscriber.outbox.lagging) {
      const since = { offset: subscription.offset, epoch: subscription.epoch }
      subscription.behind = false
      const page = await this.#readFor(subscription, since)
      const continuity = continuityOf(since, page)
      position = positionOf(page)
      if (!this.#channel.isCurrent(subscription) || continuity === 'hole') return { continuity, position }
      this.#give(subscription, page.publications)
      if (continuity === 'complete' && !subscription.behind) return { continuity, position }
    }
    return { continuity: 'partial', position }
  }

  /**
   * Reads history for a subscription, and buffers what is published meanwhile. Both are of the channel's epoch then:
   * a page that knows of a new one before the node does, or not yet, can't be joined to what the node is given.
   */
  async #readFor(subscription: Subscription, since: StreamPosition): Promise<HistoryPage> {
    for (let reads = 0; reads < MAX_READS; reads++) {
      subscription.buffer = []
      subscription.hole = undefined
      const { offset } = this.#channel.position()
      // Those who come back together have missed the same, and share the answer.
      const page = await ((reads === 0 ? this.#reads.get(since.offset) : undefined) ?? this.read(since))
      if (page.position.epoch !== this.#channel.position().epoch) await this.#channel.repair()
      // One that was asked for earlier may know less than this node has given to others since.
      else if (subscription.hole === undefined && page.position.offset >= offset) return page
    }
    throw new UnavailableError()
  }

  /** Gives publications until the reader is slow; the rest is left to history. */
  #give(subscription: Subscription, publications: readonly Publication[]): void {
    const { feed, subscriber } = subscription
    for (const publication of publications) {
      if (subscriber.outbox.lagging) {
        subscription.behind = true
        return
      }
      const { offset, except } = publication
      if (except !== undefined && this.#options.outboxOf(except) === subscriber.outbox) {
        subscription.give({ offset, frame: undefined })
        continue
      }
      const frame = feed.encode(publication)
      subscriber.pay?.(frame.length)
      subscription.give({ offset, frame })
    }
  }

  /** Newer ones only once the caller has had its turn: it may have to say where it stands before them. */
  #goLiveAfter(subscription: Subscription): void {
    setImmediate(() => this.#channel.attempt(() => this.#goLive(subscription)))
  }

  #goLive(subscription: Subscription): void {
    if (!this.#channel.isCurrent(subscription)) return
    if (subscription.hole !== undefined) subscription.tellHole(this.#options.name, subscription.hole)
    // Whoever has no use for a stream with a hole in it has left.
    if (!this.#channel.isCurrent(subscription)) return
    if (subscription.behind) subscription.buffer = undefined
    else subscription.release()
    this.#channel.promote()
    if (subscription.behind) void this.catchUp(subscription)
  }
}

function positionOf({ position: { offset, epoch } }: HistoryPage): StreamPosition {
  return { offset, epoch }
}

/** A client's position may be anything. */
function isPosition(since: StreamPosition | null | undefined): since is StreamPosition {
  if (since === undefined || since === null) return false
  return Number.isSafeInteger(since.offset) && since.offset >= 0 && typeof since.epoch === 'string'
}
