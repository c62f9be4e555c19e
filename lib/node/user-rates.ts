import type { Broker } from '../broker/broker.ts'
import type { Rate } from '../options/options.ts'
import type { Timed, TimerWheel } from '../timing/timer-wheel.ts'
import { TokenBucket } from '../timing/token-bucket.ts'

export interface UserRatesOptions {
  readonly broker: Broker
  readonly wheel: TimerWheel
  failed(stage: string, error: unknown): void
}

// A user who waited as long as told must not be refused for a rounding error.
const ROUNDING = 1e-6
// A lease is this part of what a user may send at once: small enough that two nodes share fairly.
const LEASES_PER_BURST = 10
// After a broker's failure it is left alone for so long.
const PAUSE = 1_000
// A user who sends nothing is remembered for so long, or until the bucket is full again, an hour at most.
const IDLE = 60_000
const MAX_IDLE = 3_600_000

/** What all users share that have one rate. */
interface RateGroup {
  readonly allowances: Map<string, UserAllowance>
}

/**
 * The rate of one user's messages over all nodes: each node leases tokens from the broker's bucket, a few at a time
 * and ahead of need, so that no message waits for the broker. While the broker is away a node keeps a bucket of its
 * own.
 *
 * A burst comes faster than leases do. So a node also grants what the broker's bucket must hold if no other node draws
 * from it, on credit, which is owed to that bucket. Once the broker grants less than that, another node draws too: from
 * then on there is no credit, until the bucket would be full again. A user who is silent and then sends to several
 * nodes at once can so have a burst of each; what is too much is held back afterwards.
 */
export class UserRates {
  readonly #options: UserRatesOptions
  /** By the numbers of the rate, and by the objects that hold them. */
  readonly #groups = new Map<string, RateGroup>()
  readonly #byRate = new WeakMap<Rate, RateGroup>()

  constructor(options: UserRatesOptions) {
    this.#options = options
  }

  /** Users that are remembered, each once for each rate. */
  get size(): number {
    let size = 0
    for (const { allowances } of this.#groups.values()) size += allowances.size
    return size
  }

  /** Takes one token; gives 0, or, if there is none, the milliseconds until there may be one. */
  take(user: string, rate: Rate): number {
    const { wheel } = this.#options
    const now = wheel.now()
    const { allowances } = this.#byRate.get(rate) ?? this.#groupOf(rate)
    let allowance = allowances.get(user)
    if (allowance === undefined) {
      allowance = new UserAllowance(user, rate, this.#options, () => allowances.delete(user))
      allowances.set(user, allowance)
      wheel.set(allowance, now + IDLE)
    }
    return allowance.take(now)
  }

  /** Routes with equal rates share the user's bucket; different rates have buckets of their own. */
  #groupOf(rate: Rate): RateGroup {
    const key = nameOf(rate)
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
  /** Leased and not used. Below zero: used on credit, and owed. */
  #tokens = 0
  /** What the broker's bucket held at a time, at the least, unless other nodes draw from it. */
  #held: number
  #heldAt: number
  /** Other nodes draw from the bucket, until this time at the least. */
  #sharedUntil = Number.NEGATIVE_INFINITY
  #asking = false
  #askAgainAt = 0
  #usedAt = 0
  /** Stands in while the broker is away. */
  #own: TokenBucket | undefined
  wheelTick = -1

  constructor(user: string, rate: Rate, options: UserRatesOptions, forget: () => void) {
    this.#key = `user:${nameOf(rate)}:${user}`
    this.#rate = rate
    this.#options = options
    this.#forget = forget
    this.#lease = Math.ceil(rate.burst / LEASES_PER_BURST)
    this.#fillTime = (rate.burst / rate.rate) * 1000
    this.#held = rate.burst
    this.#heldAt = options.wheel.now()
  }

  take(now: number): number {
    this.#usedAt = now
    const isShared = now < this.#sharedUntil
    const credit = isShared ? 0 : this.#heldBy(now)
    // What was leased and not used is part of the burst: the bucket has been filled up since.
    this.#tokens = Math.min(this.#tokens, this.#rate.burst - credit)
    if (this.#tokens <= this.#lease / 2) void this.#ask(now)
    if (this.#own !== undefined) return this.#own.take(now)
    const left = this.#tokens + credit
    if (left >= 1 - ROUNDING) {
      this.#tokens--
      return 0
    }
    return Math.max(1, Math.ceil(isShared ? this.#askAgainAt - now : ((1 - left) / this.#rate.rate) * 1000))
  }

  onDue(now: number): number {
    const forgetAt = this.#usedAt + Math.max(IDLE, Math.min(MAX_IDLE, this.#fillTime))
    if (now < forgetAt) return forgetAt
    this.#forget()
    return Number.POSITIVE_INFINITY
  }

  #heldBy(now: number): number {
    return Math.min(this.#rate.burst, this.#held + ((now - this.#heldAt) * this.#rate.rate) / 1000)
  }

  async #ask(now: number): Promise<void> {
    if (this.#asking || now < this.#askAgainAt) return
    this.#asking = true
    const { broker, wheel, failed } = this.#options
    const wanted = Math.ceil(this.#lease - this.#tokens)
    const held = this.#heldBy(now)
    try {
      const { granted, retryAfter } = await broker.takeTokens(this.#key, wanted, this.#rate)
      const answeredAt = wheel.now()
      if (granted < Math.min(wanted, Math.floor(held))) this.#sharedUntil = answeredAt + this.#fillTime
      this.#tokens += granted
      // Counted from the answer on, though it has filled since the question: never more than there is.
      this.#held = Math.max(0, held - granted)
      this.#heldAt = answeredAt
      this.#askAgainAt = granted > 0 ? 0 : answeredAt + retryAfter
      this.#own = undefined
    } catch (error) {
      failed('user rate', error)
      this.#askAgainAt = wheel.now() + PAUSE
      this.#own ??= new TokenBucket(this.#rate, wheel.now())
    }
    this.#asking = false
    // What was used on credit meanwhile is owed now: a bucket that has filled up takes no more.
    if (this.#tokens < 0 && this.#askAgainAt === 0) void this.#ask(wheel.now())
  }
}

function nameOf({ rate, burst }: Rate): string {
  return `${rate}/${burst}`
}
