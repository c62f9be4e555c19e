import type { Rate } from '../options/options.ts'

// Tolerance for rounding: a client that waited the returned time must not be refused.
const ROUNDING = 1e-6

/** A token bucket. It is refilled at each use, by the time that has passed, and needs no timer. */
export class TokenBucket {
  readonly #perMillisecond: number
  readonly #burst: number
  /** The minimum number of tokens, below zero. It bounds the time that a debt takes to be paid. */
  readonly #min: number
  #tokens: number
  #at: number

  /** @param maxDebt Maximum milliseconds that a debt takes to be paid. */
  constructor({ rate, burst }: Rate, now: number, maxDebt = Number.POSITIVE_INFINITY) {
    this.#perMillisecond = rate / 1000
    this.#burst = burst
    this.#min = -this.#perMillisecond * maxDebt
    this.#tokens = burst
    this.#at = now
  }

  /** Takes one token and returns 0. If there is none, takes nothing and returns the milliseconds until there is one. */
  take(now: number): number {
    this.#refill(now)
    if (this.#tokens < 1 - ROUNDING) return this.#timeUntil(1)
    this.#tokens -= 1
    return 0
  }

  /** Takes tokens even if there are not enough. Returns the milliseconds until the debt is paid; 0 if there is none. */
  reserve(now: number, tokens = 1): number {
    this.#refill(now)
    this.#tokens = Math.max(this.#min, this.#tokens - tokens)
    return this.#debt()
  }

  /** The milliseconds until the debt is paid; 0 if there is none. */
  debt(now: number): number {
    this.#refill(now)
    return this.#debt()
  }

  #debt(): number {
    return this.#tokens < -ROUNDING ? this.#timeUntil(0) : 0
  }

  #refill(now: number): void {
    this.#tokens = Math.min(this.#burst, this.#tokens + (now - this.#at) * this.#perMillisecond)
    this.#at = now
  }

  #timeUntil(tokens: number): number {
    return Math.ceil((tokens - this.#tokens) / this.#perMillisecond)
  }
}
