import type { Claims, Rate, ResolvedLimits } from '../options/options.ts'
import { TokenBucket } from '../timing/token-bucket.ts'

// Pings and pongs have their own bucket, so that they are limited also on a route without a limit for messages. Pings
// past this rate are not answered: otherwise a peer that does not read could make us buffer pongs.
const CONTROL_RATE = { rate: 100, burst: 200 }

/** Takes one of a user's tokens. Returns 0, or the milliseconds until there may be one. */
type UserRate = (user: string, rate: Rate) => number

/**
 * Limits how much one connection may send. Messages and bytes have rates of the connection, and messages have a rate of
 * the user too. Pings and pongs have a fixed rate. A message of any size is accepted on credit: its bytes become a
 * debt, and the next message is accepted once the debt is paid.
 */
export class Rates {
  readonly #messages: TokenBucket | undefined
  readonly #bytes: TokenBucket | undefined
  readonly #userMessages: Rate | false
  readonly #userRate: UserRate
  #control: TokenBucket | undefined

  /** @param maxDebt The milliseconds that a debt may take to be paid. */
  constructor({ messages, bytes, userMessages }: ResolvedLimits, userRate: UserRate, now: number, maxDebt: number) {
    if (messages !== false) this.#messages = new TokenBucket(messages, now, maxDebt)
    if (bytes !== false) this.#bytes = new TokenBucket(bytes, now, maxDebt)
    this.#userMessages = userMessages
    this.#userRate = userRate
  }

  /** A message came. Returns 0 if it is accepted; otherwise the milliseconds until the next message is. */
  take(user: Claims | null, bytes: number, now: number): number {
    const retryAfter = this.debt(now) || (this.#messages?.take(now) ?? 0) || this.#takeUserToken(user)
    if (retryAfter === 0) this.#bytes?.reserve(now, bytes)
    return retryAfter
  }

  /** A message came, and is accepted in any case. Returns the milliseconds to wait before the next one; 0 for none. */
  reserve(user: Claims | null, bytes: number, now: number): number {
    return Math.max(this.#messages?.reserve(now) ?? 0, this.#bytes?.reserve(now, bytes) ?? 0, this.#takeUserToken(user))
  }

  /** The client has caused so many bytes to be sent. They count as if the client had sent them. */
  spend(bytes: number, now: number): void {
    this.#bytes?.reserve(now, bytes)
  }

  /** The milliseconds until the debt of bytes is paid. */
  debt(now: number): number {
    return this.#bytes?.debt(now) ?? 0
  }

  /** A ping or an unsolicited pong came. False if there are too many. */
  takeControl(now: number): boolean {
    this.#control ??= new TokenBucket(CONTROL_RATE, now)
    return this.#control.take(now) === 0
  }

  #takeUserToken(user: Claims | null): number {
    // If the claim `sub` is not required, it may be missing. Connections without it do not share the rate of one user.
    if (user?.sub === undefined || this.#userMessages === false) return 0
    return this.#userRate(user.sub, this.#userMessages)
  }
}
