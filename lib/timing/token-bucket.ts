import type { Rate } from '../options/options.ts'

// What rounding may take from a token: who waited as long as told must not be refused for it.
const ROUNDING = 1e-6

/** A token bucket, refilled by the time that passes rather than by a timer. */
export class TokenBucket {
  readonly #perMillisecond: number
  readonly #burst: number
  /** The fewest tokens there may be: a debt is never longer than it takes to refill from here. */
  readonly #least: number
  #tokens: number
  #at: number

  /** @param maxDebt The milliseconds that a debt may take to be paid. */
  constructor({ rate, burst }: Rate, now: number, maxDebt = Number.POSITIVE_INFINITY) {
    this.#perMillisecond = rate / 1000
    this.#burst = burst
    this.#least = -this.#perMillisecond * maxDebt
    this.#tokens = burst
    this.#at = now
  }

  /** Takes one token; gives 0, or, where there is none, the milliseconds until there is one again. */
  take(now: number): number {
    this.#refill(now)
    if (this.#tokens < 1 - ROUNDING) return this.#until(1)
    this.#tokens -= 1
    return 0
  }

  /** Takes tokens whether there are so many or not; gives 0, or the milliseconds until the debt is paid. */
  charge(now: number, tokens = 1): number {
    this.#refill(now)
    this.#tokens = Math.max(this.#least, this.#tokens - tokens)
    return this.#debt()
  }

  /** The milliseconds until the debt is paid; 0 if there is none. */
  debt(now: number): number {
    this.#refill(now)
    return this.#debt()
  }

  #debt(): number {
    return this.#tokens < -ROUNDING ? this.#until(0) : 0
  }

  #refill(now: number): void {
    this.#tokens = Math.min(this.#burst, this.#tokens + (now - this.#at) * this.#perMillisecond)
    this.#at = now
  }

  #until(tokens: number): number {
    return Math.ceil((tokens - this.#tokens) / this.#perMillisecond)
  }
}
