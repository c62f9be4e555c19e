import type { Rate } from '../options.ts'

// What rounding may take from a token: who waited as long as told must not be refused for it.
const ROUNDING = 1e-6

/** A token bucket, refilled by the time that passes rather than by a timer. */
export class TokenBucket {
  readonly #perMillisecond: number
  readonly #burst: number
  #tokens: number
  #at: number

  constructor({ rate, burst }: Rate, now: number) {
    this.#perMillisecond = rate / 1000
    this.#burst = burst
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

  /** Takes one token whether there is one or not; gives 0, or the milliseconds until the debt is paid. */
  charge(now: number): number {
    this.#refill(now)
    this.#tokens -= 1
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
