import type { Broker } from '../broker/broker.ts'
import type { Rate } from '../options.ts'
import type { Timed, TimerWheel } from '../socket/timer-wheel.ts'
import { TokenBucket } from '../socket/token-bucket.ts'

export interface UserRatesOptions {
  readonly broker: Broker
  readonly wheel: TimerWheel
  failed(stage: string, error: unknown): void
}

// A lease is this part of what a user may send at once: small enough that two nodes share fairly.
const LEASES_PER_BURST = 10
// After a broker's failure it is left alone for so long.
const PAUSE = 1_000
// What a user who sends nothing is remembered for.
const IDLE = 60_000

/**
 * The rate of one user's messages over all nodes: each node leases tokens from the broker's bucket, a few at a time
 * and ahead of need, so that no message waits for the broker. Until the first lease is there a node grants a burst on
 * credit, which is owed to the broker's bucket; while the broker is away it keeps a bucket of its own.
 */
export class UserRates {
  readonly #options: UserRatesOptions
  readonly #allowances = new Map<string, Allowance>()

  constructor(options: UserRatesOptions) {
    this.#options = options
  }

  /** Users that are remembered. */
  get size(): number {
    return this.#allowances.size
  }

  /** Takes one token; gives 0, or, where there is none, the milliseconds until there may be one. */
  take(user: string, rate: Rate): number {
    const { wheel } = this.#options
    const now = wheel.now()
    let allowance = this.#allowances.get(user)
    if (allowance === undefined) {
      allowance = new Allowance(user, rate, this.#options, () => this.#allowances.delete(user))
      this.#allowances.set(user, allowance)
      wheel.set(allowance, now + IDLE)
    }
    return allowance.take(now)
  }
}

class Allowance implements Timed {
  readonly #user: string
  readonly #rate: Rate
  readonly #options: UserRatesOptions
  readonly #forget: () => void
  readonly #lease: number
  #tokens = 0
  /** What may be used before the first lease is there; it is owed to that. */
  #credit: number
  #asking = false
  #askAgainAt = 0
  #usedAt = 0
  /** Stands in while the broker is away. */
  #own: TokenBucket | undefined
  wheelTick = -1

  constructor(user: string, rate: Rate, options: UserRatesOptions, forget: () => void) {
    this.#user = user
    this.#rate = rate
    this.#options = options
    this.#forget = forget
    this.#lease = Math.ceil(rate.burst / LEASES_PER_BURST)
    this.#credit = rate.burst
    void this.#ask(0)
  }

  take(now: number): number {
    this.#usedAt = now
    if (this.#tokens + this.#credit <= this.#lease / 2) void this.#ask(now)
    if (this.#own !== undefined) return this.#own.take(now)
    if (this.#tokens + this.#credit >= 1) {
      this.#tokens--
      return 0
    }
    return Math.max(1, Math.ceil(this.#askAgainAt - now))
  }

  onDue(now: number): number {
    const forgetAt = this.#usedAt + IDLE
    if (now < forgetAt) return forgetAt
    this.#forget()
    return Number.POSITIVE_INFINITY
  }

  async #ask(now: number): Promise<void> {
    if (this.#asking || now < this.#askAgainAt) return
    this.#asking = true
    const { broker, wheel, failed } = this.#options
    const wanted = this.#lease - this.#tokens
    try {
      const { granted, retryAfter } = await broker.takeTokens(`user:${this.#user}`, wanted, this.#rate)
      this.#tokens += granted
      this.#askAgainAt = granted > 0 ? 0 : wheel.now() + retryAfter
      this.#own = undefined
    } catch (error) {
      failed('user rate', error)
      this.#askAgainAt = wheel.now() + PAUSE
      this.#own ??= new TokenBucket(this.#rate, wheel.now())
    }
    this.#credit = 0
    this.#asking = false
  }
}
