import { randomBytes } from 'node:crypto'
import { UnavailableError } from '../../errors.ts'
import type { Position } from '../../protocol/position.ts'
import type {
  Broker,
  BrokerListener,
  BrokerPublishOptions,
  HistoryPage,
  HistoryQuery,
  PresenceEntry,
  PresenceEventKind,
  Published
} from '../broker.ts'
import { withRest } from '../with-rest.ts'
import { MemoryBuckets } from './buckets.ts'
import { MemoryHistory } from './history.ts'
import { MemoryIdempotency } from './idempotency.ts'
import { MemoryMembers } from './members.ts'

export interface MemoryBrokerOptions {
  /** A monotonic clock in milliseconds. @default performance */
  readonly clock?: { now(): number }
  /** Returns a string that it never returned before. By default, 9 random bytes in base64url. */
  readonly newEpoch?: () => string
  /** Milliseconds that a channel's offset and epoch are kept after their last use. @default 86_400_000 */
  readonly positionTtl?: number
  /** Maximum bytes of histories, positions and idempotency keys in all. @default Infinity */
  readonly maxBytes?: number
  /** Milliseconds between two sweeps, which drop expired items of all kinds. @default 1000 */
  readonly sweepInterval?: number
}

/** Number of items that a `MemoryBroker` holds at this moment, by kind. */
export interface MemoryBrokerUsage {
  readonly subscriptions: number
  readonly histories: number
  readonly idempotencyKeys: number
  readonly presences: number
  readonly leases: number
  readonly buckets: number
}

const DEFAULT_IDEMPOTENCY_TTL = 300_000

// Maximum number of channels that one sweep visits, so that it never blocks the event loop.
const SWEEP_BUDGET = 1000

const UNNUMBERED = { offset: 0, epoch: '' } as const
const DONE = Promise.resolve()
const PUBLISHED: Promise<Published> = Promise.resolve(Object.freeze({ ...UNNUMBERED, duplicate: false }))

/**
 * The broker of one process. Everything happens within the call: when `publish` returns its promise, the listener has
 * already received the publication. A publish without history and idempotency key stores nothing. It delivers the
 * publication if the channel is subscribed.
 */
export class MemoryBroker implements Broker {
  readonly shards: ReadonlyMap<string, boolean> = new Map()
  readonly #clock: { now(): number }
  readonly #sweepInterval: number
  readonly #subscriptions = new Set<string>()
  readonly #history: MemoryHistory
  readonly #maxBytes: number
  readonly #idempotency = new MemoryIdempotency()
  readonly #presence = new MemoryMembers<PresenceEntry>()
  readonly #leases = new MemoryMembers<true>()
  readonly #buckets = new MemoryBuckets()
  /** A subscribed channel keeps its counter: its subscribers would take its loss for a loss of publications. */
  readonly #isSubscribed = (channel: string) => this.#subscriptions.has(channel)
  #listener: BrokerListener | undefined
  #timer: NodeJS.Timeout | undefined

  constructor({
    clock = performance,
    newEpoch = () => randomBytes(9).toString('base64url'),
    positionTtl = 86_400_000,
    maxBytes = Number.POSITIVE_INFINITY,
    sweepInterval = 1000
  }: MemoryBrokerOptions = {}) {
    this.#clock = clock
    this.#sweepInterval = sweepInterval
    this.#maxBytes = maxBytes
    this.#history = new MemoryHistory(positionTtl, newEpoch)
  }

  get up(): boolean {
    return this.#listener !== undefined
  }

  get usage(): MemoryBrokerUsage {
    return {
      subscriptions: this.#subscriptions.size,
      histories: this.#history.size,
      idempotencyKeys: this.#idempotency.size,
      presences: this.#presence.size,
      leases: this.#leases.size,
      buckets: this.#buckets.size
    }
  }

  async start(listener: BrokerListener): Promise<void> {
    this.#listener = listener
    this.#timer = setInterval(() => this.#sweep(), this.#sweepInterval).unref()
    listener.state(true)
  }

  subscribe(channel: string): Promise<void> {
    if (!this.#listener) return unavailable()
    this.#subscriptions.add(channel)
    return DONE
  }

  unsubscribe(channel: string): Promise<void> {
    this.#subscriptions.delete(channel)
    return DONE
  }

  publish(channel: string, data: Buffer, options?: BrokerPublishOptions): Promise<Published> {
    if (!this.#listener) return unavailable()
    if (options?.idempotencyKey !== undefined) return this.#publishOnce(channel, data, options, options.idempotencyKey)
    if (options?.history) return Promise.resolve(this.#publish(this.#listener, channel, data, options))
    this.#deliver(this.#listener, channel, UNNUMBERED, data, options)
    return PUBLISHED
  }

  async history(channel: string, query: HistoryQuery): Promise<HistoryPage> {
    if (!this.#listener) throw new UnavailableError()
    const page = this.#history.page(channel, query, this.#clock.now())
    // A channel that was unknown before has a counter now.
    this.#trim()
    return page
  }

  removeHistory(channel: string): Promise<void> {
    if (!this.#listener) return unavailable()
    this.#history.remove(channel)
    if (this.#subscriptions.has(channel)) this.#listener.audit([channel])
    return DONE
  }

  publishPresence(channel: string, kind: PresenceEventKind, info: Buffer): Promise<void> {
    if (!this.#listener) return unavailable()
    if (this.#subscriptions.has(channel)) this.#listener.presence(channel, kind, info)
    return DONE
  }

  addPresence(channel: string, entry: PresenceEntry, ttl: number): Promise<void> {
    if (!this.#listener) return unavailable()
    this.#presence.set(channel, entry.connection, entry, this.#clock.now() + ttl)
    return DONE
  }

  removePresence(channel: string, connection: string): Promise<void> {
    if (!this.#listener) return unavailable()
    this.#presence.delete(channel, connection)
    return DONE
  }

  async presence(channel: string): Promise<readonly PresenceEntry[]> {
    if (!this.#listener) throw new UnavailableError()
    return [...this.#presence.list(channel, this.#clock.now()).values()]
  }

  async presenceStats(channel: string): Promise<{ connections: number; users: number }> {
    const entries = await this.presence(channel)
    return { connections: entries.length, users: new Set(entries.map((entry) => entry.user)).size }
  }

  async acquireLease(key: string, holder: string, limit: number, ttl: number): Promise<boolean> {
    if (!this.#listener) throw new UnavailableError()
    const now = this.#clock.now()
    const holders = this.#leases.list(key, now)
    if (!holders.has(holder) && holders.size >= limit) return false
    this.#leases.set(key, holder, true, now + ttl)
    return true
  }

  releaseLease(key: string, holder: string): Promise<void> {
    if (!this.#listener) return unavailable()
    this.#leases.delete(key, holder)
    return DONE
  }

  async takeTokens(
    key: string,
    wanted: number,
    bucket: { rate: number; burst: number }
  ): Promise<{ granted: number; retryAfter: number }> {
    if (!this.#listener) throw new UnavailableError()
    return this.#buckets.take(key, wanted, bucket, this.#clock.now())
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    this.#listener = undefined
    this.#subscriptions.clear()
  }

  async #publishOnce(channel: string, data: Buffer, options: BrokerPublishOptions, key: string): Promise<Published> {
    const now = this.#clock.now()
    const previous = this.#idempotency.recall(channel, key, data, now)
    if (previous) return previous
    this.#idempotency.makeRoom(now)
    // A key must not be dropped before it expires, or a retry would publish twice. Nothing else can free this memory.
    if (this.#idempotency.bytes >= this.#maxBytes) throw new UnavailableError()
    const result = this.#publish(this.#listener as BrokerListener, channel, data, options)
    const expiresAt = now + (options.idempotencyTtl ?? DEFAULT_IDEMPOTENCY_TTL)
    this.#idempotency.remember(channel, key, data, result, expiresAt)
    this.#trim()
    return result
  }

  #publish(listener: BrokerListener, channel: string, data: Buffer, options: BrokerPublishOptions): Published {
    const { history } = options
    if (!history) {
      this.#deliver(listener, channel, UNNUMBERED, data, options)
      return { ...UNNUMBERED, duplicate: false }
    }
    const { offset, epoch } = this.#history.append(channel, data, options, history, this.#clock.now())
    this.#trim()
    const position = { offset, epoch }
    this.#deliver(listener, channel, position, data, options)
    return { ...position, duplicate: false }
  }

  #deliver(
    listener: BrokerListener,
    channel: string,
    { offset, epoch }: Position,
    data: Buffer,
    options: BrokerPublishOptions | undefined
  ): void {
    if (!this.#subscriptions.has(channel)) return
    const publication = { offset, epoch, data, info: options?.info, time: Date.now() }
    listener.publication(channel, withRest(publication, options))
  }

  #trim(): void {
    this.#history.trim(this.#maxBytes - this.#idempotency.bytes, this.#isSubscribed)
  }

  #sweep(): void {
    const now = this.#clock.now()
    this.#history.sweep(now, SWEEP_BUDGET, this.#isSubscribed)
    this.#idempotency.sweep(now, SWEEP_BUDGET)
    this.#presence.sweep(now)
    this.#leases.sweep(now)
    this.#buckets.sweep(now)
  }
}

function unavailable(): Promise<never> {
  return Promise.reject(new UnavailableError())
}
