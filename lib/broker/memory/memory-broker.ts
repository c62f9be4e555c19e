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
import { MemoryBuckets } from './buckets.ts'
import { MemoryHistory } from './history.ts'
import { MemoryIdempotency } from './idempotency.ts'
import { MemoryMembers } from './members.ts'

export interface MemoryBrokerOptions {
  /** Milliseconds that never go back. `performance` unless told. */
  readonly clock?: { now(): number }
  /** A string that was never given before. 9 random bytes in base64url unless told. */
  readonly newEpoch?: () => string
  /** How long a channel's offset and epoch are kept after their last use, in milliseconds; a day unless told. */
  readonly positionTtl?: number
  /** Bytes for histories, positions and idempotency keys together; no limit by default. */
  readonly maxBytes?: number
  /** How often what has expired is dropped, in milliseconds; 1,000 unless told. One timer for everything. */
  readonly sweepInterval?: number
}

/** How many things a `MemoryBroker` holds at this moment. */
export interface MemoryBrokerUsage {
  readonly subscriptions: number
  readonly histories: number
  readonly idempotencyKeys: number
  readonly presences: number
  readonly leases: number
  readonly buckets: number
}

const DEFAULT_IDEMPOTENCY_TTL = 300_000

// A sweep visits this many channels, however many there are, so that it never holds the event loop.
const SWEEP_BUDGET = 1000

const UNNUMBERED = { offset: 0, epoch: '' } as const
const DONE = Promise.resolve()
const PUBLISHED: Promise<Published> = Promise.resolve(Object.freeze({ ...UNNUMBERED, duplicate: false }))

/**
 * The broker of one process. Everything happens within the call: the listener has heard a publication when `publish`
 * returns its promise. A publish without history and idempotency key keeps nothing, and delivers only where the
 * channel is subscribed.
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
  /** A channel whose subscribers would take the loss of its counter for a loss of publications. */
  readonly #isHeld = (channel: string) => this.#subscriptions.has(channel)
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
    if (!this.#listener) return down()
    this.#subscriptions.add(channel)
    return DONE
  }

  unsubscribe(channel: string): Promise<void> {
    this.#subscriptions.delete(channel)
    return DONE
  }

  publish(channel: string, data: Buffer, options?: BrokerPublishOptions): Promise<Published> {
    if (!this.#listener) return down()
    if (options?.idempotencyKey !== undefined) return this.#publishOnce(channel, data, options, options.idempotencyKey)
    if (options?.history) return Promise.resolve(this.#publish(this.#listener, channel, data, options))
    this.#deliver(this.#listener, channel, UNNUMBERED, data, options)
    return PUBLISHED
  }

  async history(channel: string, query: HistoryQuery): Promise<HistoryPage> {
    if (!this.#listener) throw new UnavailableError()
    const page = this.#history.page(channel, query, this.#clock.now())
    // A channel that was not known has a counter now.
    this.#trim()
    return page
  }

  removeHistory(channel: string): Promise<void> {
    if (!this.#listener) return down()
    this.#history.remove(channel)
    if (this.#subscriptions.has(channel)) this.#listener.audit([channel])
    return DONE
  }

  publishPresence(channel: string, kind: PresenceEventKind, info: Buffer): Promise<void> {
    if (!this.#listener) return down()
    if (this.#subscriptions.has(channel)) this.#listener.presence(channel, kind, info)
    return DONE
  }

  addPresence(channel: string, entry: PresenceEntry, ttl: number): Promise<void> {
    if (!this.#listener) return down()
    this.#presence.set(channel, entry.connection, entry, this.#clock.now() + ttl)
    return DONE
  }

  removePresence(channel: string, connection: string): Promise<void> {
    if (!this.#listener) return down()
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
    if (!this.#listener) return down()
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
    const before = this.#idempotency.recall(channel, key, data, now)
    if (before) return before
    this.#idempotency.makeRoom(now)
    // To forget a key before its time would publish something twice. Nothing else can give way any more.
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
    const except = options?.except
    listener.publication(channel, except === undefined ? publication : { ...publication, except })
  }

  #trim(): void {
    this.#history.trim(this.#maxBytes - this.#idempotency.bytes, this.#isHeld)
  }

  #sweep(): void {
    const now = this.#clock.now()
    this.#history.sweep(now, SWEEP_BUDGET, this.#isHeld)
    this.#idempotency.sweep(now, SWEEP_BUDGET)
    this.#presence.sweep(now)
    this.#leases.sweep(now)
    this.#buckets.sweep(now)
  }
}

function down(): Promise<never> {
  return Promise.reject(new UnavailableError())
}
