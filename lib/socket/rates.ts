import type { Claims, Rate, ResolvedLimits } from '../options.ts'
import { AbuseWatch } from './abuse-watch.ts'
import { TokenBucket } from './token-bucket.ts'

// Pings and pongs have a bucket of their own: a route without a message limit is not open to a flood of them. Pings
// past it are not answered, so that a peer that doesn't read can't make us buffer pongs.
const CONTROL_RATE = { rate: 100, burst: 200 }

/** Takes one of a user's tokens: 0, or the milliseconds until there may be one. */
type UserRate = (user: string, rate: Rate) => number

/** How much one connection may send: messages by its own rate and by its user's, pings and pongs by a fixed one. */
export class Rates {
  readonly #messages: TokenBucket | undefined
  readonly #ofUsers: Rate | false
  readonly #userRate: UserRate
  #control: TokenBucket | undefined
  #abuse: AbuseWatch | undefined

  constructor({ messages, userMessages }: ResolvedLimits, userRate: UserRate, now: number) {
    if (messages !== false) this.#messages = new TokenBucket(messages, now)
    this.#ofUsers = userMessages
    this.#userRate = userRate
  }

  /** One message came: 0, or the milliseconds until the next may come where this one may not. */
  take(user: Claims | null, now: number): number {
    return (this.#messages?.take(now) ?? 0) || this.#takeOf(user)
  }

  /** One message came, and is taken in any case: 0, or the milliseconds until the next may. */
  charge(user: Claims | null, now: number): number {
    return Math.max(this.#messages?.charge(now) ?? 0, this.#takeOf(user))
  }

  /** A ping came, or a pong that nobody asked for; false where there are too many. */
  takeControl(now: number): boolean {
    this.#control ??= new TokenBucket(CONTROL_RATE, now)
    return this.#control.take(now) === 0
  }

  /** Notes that something was too much; true once that has been so for long enough to be abuse. */
  refused(now: number): boolean {
    this.#abuse ??= new AbuseWatch()
    return this.#abuse.refused(now)
  }

  #takeOf(user: Claims | null): number {
    // Where no claim `sub` is required there may be none: those are nobody's, and not one user's.
    if (user?.sub === undefined || this.#ofUsers === false) return 0
    return this.#userRate(user.sub, this.#ofUsers)
  }
}
