import type { Claims, Rate, ResolvedLimits } from '../options/options.ts'
import { TokenBucket } from '../timing/token-bucket.ts'

// Pings and pongs have a bucket of their own: a route without a message limit is not open to a flood of them. Pings
// past it are not answered, so that a peer that doesn't read can't make us buffer pongs.
const CONTROL_RATE = { rate: 100, burst: 200 }

/** Takes one of a user's tokens: 0, or the milliseconds until there may be one. */
type UserRate = (user: string, rate: Rate) => number

/**
 * How much one connection may send: messages and bytes by its own rates, messages by its user's too, pings and pongs by
 * a fixed one. Bytes are taken on credit, however many a message has, and nothing more is taken until they are paid for.
 */
export class Rates {
  readonly #messages: TokenBucket | undefined
  readonly #bytes: TokenBucket | undefined
  readonly #ofUsers: Rate | false
  readonly #userRate: UserRate
  #control: TokenBucket | undefined

  /** @param maxDebt The milliseconds that a debt may take to be paid. */
  constructor({ messages, bytes, userMessages }: ResolvedLimits, userRate: UserRate, now: number, maxDebt: number) {
    if (messages !== false) this.#messages = new TokenBucket(messages, now, maxDebt)
    if (bytes !== false) this.#bytes = new TokenBucket(bytes, now, maxDebt)
    this.#ofUsers = userMessages
    this.#userRate = userRate
  }

  /** One message came: 0, or the milliseconds until the next may come if this one may not. */
  take(user: Claims | null, bytes: number, now: number): number {
    const retryAfter = this.debt(now) || (this.#messages?.take(now) ?? 0) || this.#takeOf(user)
    if (retryAfter === 0) this.#bytes?.charge(now, bytes)
    return retryAfter
  }

  /** One message came, and is taken in any case: 0, or the milliseconds until the next may. */
  charge(user: Claims | null, bytes: number, now: number): number {
    return Math.max(this.#messages?.charge(now) ?? 0, this.#bytes?.charge(now, bytes) ?? 0, this.#takeOf(user))
  }

  /** So many bytes more are the connection's doing. */
  spend(bytes: number, now: number): void {
    this.#bytes?.charge(now, bytes)
  }

  /** The milliseconds until the bytes are paid for. */
  debt(now: number): number {
    return this.#bytes?.debt(now) ?? 0
  }

  /** A ping came, or a pong that nobody asked for; false where there are too many. */
  takeControl(now: number): boolean {
    this.#control ??= new TokenBucket(CONTROL_RATE, now)
    return this.#control.take(now) === 0
  }

  #takeOf(user: Claims | null): number {
    // Where no claim `sub` is required there may be none: those are nobody's, and not one user's.
    if (user?.sub === undefined || this.#ofUsers === false) return 0
    return this.#userRate(user.sub, this.#ofUsers)
  }
}
