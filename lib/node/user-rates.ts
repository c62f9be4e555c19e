import type { Broker } from '../broker/broker.ts'
import type { Rate } from '../options/options.ts'
import type { Timed, TimerWheel } from '../timing/timer-wheel.ts'
import { TokenBucket } from '../timing/token-bucket.ts'

export interface UserRatesOptions {
  readonly broker: Broker
  readonly wheel: TimerWheel
  failed(stage: string, error: unknown): void
}

// A user who waited for the reported time must not be refused because of a rounding error.
const ROUNDING = 1e-6
// A lease is this fraction of the burst. It is small enough that two nodes get fair shares.
const LEASES_PER_BURST = 10
// Milliseconds until the next request to the broker after a failed one.
const RETRY_DELAY = 1_000
// Milliseconds until the node forgets a user who sends nothing. If the bucket is not full by then, the node waits
// until it is, for an hour at most.
const IDLE_TIME = 60_000
const MAX_IDLE_TIME = 3_600_000

/** The users of all routes with the same rate. */
interface RateGroup {
  readonly allowances: Map<string, UserAllowance>
}

/**
 * The rate of each user's messages, over all nodes. Each node leases tokens from the broker's bucket, a few at a time
 * and in advance, so that no message waits for the broker. While the broker is unavailable, the node uses a local
 * bucket.
 *
 * A burst is faster than leases. So the node also uses tokens on credit: as many as the broker's bucket must hold if no
 * other node takes from it. The node takes these tokens from that bucket later. If the broker then grants fewer tokens,
 * another node takes tokens too. From then on the node gives no credit, until the bucket would be full again.
 *
 * So a user who was silent and then sends to several nodes at once can get one burst on each node. The surplus is
 * subtracted afterwards.
 */
export class UserRates {
  readonly #options: UserRatesOptions
  /** By the values of the rate, and by the objects that hold the values. */
  readonly #groups = new Map<string, RateGroup>()
  readonly #byRate = new WeakMap<Rate, RateGroup>()

  constructor(options: UserRatesOptions) {
    this.#options = options
  }

  /** The number of users in memory. A user with several rates counts once for each. */
  get size(): number {
    let size = 0
    for (const { allowances } of this.#groups.values()) size += allowances.size
    return size
  }

  /** Takes one token. Returns 0, or the milliseconds until there may be a token if there is none. */
  take(user: string, rate: Rate): number {
    const { wheel } = this.#options
    const now = wheel.now()
    const { allowances } = this.#byRate.get(rate) ?? this.#groupOf(rate)
    let allowance = allowances.get(user)
    if (allowance === undefined) {
      allowance = new UserAllowance(user, rate, this.#options, () => allowances.delete(user))
      allowances.set(user, allowance)
      wheel.set(allowance, now + IDLE_TIME)
    }
    return allowance.take(now)
  }

  /** Routes with equal rates share the user's bucket. Different rates have separate buckets. */
  #groupOf(rate: Rate): RateGroup {
    const key = keyOf(rate)
    const group = this.#groups.get(key) ?? { allowances: new Map() }
    this.#groups.set(key, group)
    this.#byRate.set(rate, group)
    return group
  }
}

class UserAllowance implements Timed {
  readonly #key: string
  readonly #rate: Rate
  readonly #options: UserRatesOptions
  readonly #forget: () => void
  readonly #lease: number
  /** Milliseconds until an empty bucket is full. */
  readonly #fillTime: number
  /** Leased tokens that are not used. Below zero: tokens used on credit, which the broker's bucket has yet to grant. */
  #tokens = 0
  /** The least that the broker's bucket held at `#remainingAt`, unless other nodes take from it. */
  #remaining: number
  #remainingAt: number
  /** Other nodes take from the bucket, at least until this time. */
  #sharedUntil = Number.NEGATIVE_INFINITY
  #isLeasing = false
  #nextLeaseAt = 0
  #usedAt = 0
  /** Replaces the broker's bucket while the broker is unavailable. */
  #localBucket: TokenBucket | undefined
  wheelTick = -1

  constructor(user: string, rate: Rate, options: UserRatesOptions, forget: () => void) {
    this.#key = `user:${keyOf(rate)}:${user}`
    this.#rate = rate
    this.#options = options
    this.#forget = forget
    this.#lease = Math.ceil(rate.burst / LEASES_PER_BURST)
    this.#fillTime = (rate.burst / rate.rate) * 1000
    this.#remaining = rate.burst
    this.#remainingAt = options.wheel.now()
  }

  take(now: number): number {
    this.#usedAt = now
    const isShared = now < this.#sharedUntil
    const credit = isShared ? 0 : this.#remainingBy(now)
    // The broker's bucket was refilled since the lease. Leased tokens must not make the burst larger than one bucket.
    this.#tokens = Math.min(this.#tokens, this.#rate.burst - credit)
    if (this.#tokens <= this.#lease / 2) void this.#requestLease(now)
    if (this.#localBucket !== undefined) return this.#localBucket.take(now)
    const left = this.#tokens + credit
    if (left >= 1 - ROUNDING) {
      this.#tokens--
      return 0
    }
    return Math.max(1, Math.ceil(isShared ? this.#nextLeaseAt - now : ((1 - left) / this.#rate.rate) * 1000))
  }

  onDue(now: number): number {
    const forgetAt = this.#usedAt + Math.max(IDLE_TIME, Math.min(MAX_IDLE_TIME, this.#fillTime))
    if (now < forgetAt) return forgetAt
    this.#forget()
    return Number.POSITIVE_INFINITY
  }

  #remainingBy(now: number): number {
    return Math.min(this.#rate.burst, this.#remaining + ((now - this.#remainingAt) * this.#rate.rate) / 1000)
  }

  async #requestLease(now: number): Promise<void> {
    if (this.#isLeasing || now < this.#nextLeaseAt) return
    this.#isLeasing = true
    const { broker, wheel, failed } = this.#options
    const wanted = Math.ceil(this.#lease - this.#tokens)
    const held = this.#remainingBy(now)
    try {
      const { granted, retryAfter } = await broker.takeTokens(this.#key, wanted, this.#rate)
      const grantedAt = wheel.now()
      if (granted < Math.min(wanted, Math.floor(held))) this.#sharedUntil = grantedAt + this.#fillTime
      this.#tokens += granted
      // The bucket was refilled since the request was sent. Counting from the answer on never counts too many tokens.
      this.#remaining = Math.max(0, held - granted)
      this.#remainingAt = grantedAt
      this.#nextLeaseAt = granted > 0 ? 0 : grantedAt + retryAfter
      this.#localBucket = undefined
    } catch (error) {
      failed('user rate', error)
      this.#nextLeaseAt = wheel.now() + RETRY_DELAY
      this.#localBucket ??= new TokenBucket(this.#rate, wheel.now())
    }
    this.#isLeasing = false
    // Repay the tokens that were used on credit meanwhile, before the bucket is full: a full bucket is not refilled.
    if (this.#tokens < 0 && this.#nextLeaseAt === 0) void this.#requestLease(wheel.now())
  }
}

function keyOf({ rate, burst }: Rate): string {
  return `${rate}/${burst}`
}
