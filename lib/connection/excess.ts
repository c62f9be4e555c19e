import type { Timed, TimerWheel } from '../timing/timer-wheel.ts'

// How many messages past its rate end a connection, and the milliseconds after which one of them is no longer counted.
// A client that is a little over its rate stays connected. A constant flood ends within moments, a flood in bursts
// after a few bursts.
const MAX_EXCESS = 2_000
const FORGIVEN_EVERY = 50
// How many notices may be sent in any window of so many milliseconds.
const MAX_NOTICES = 10
const WINDOW = 1_000

/**
 * Sends the client a notice: how many of its messages were dropped since the last notice, and when it may send again.
 * `only` is the message, if the notice is about a single one.
 */
export type SendDroppedNotice = (dropped: number, retryAfter: number, only: Buffer | undefined) => void

/**
 * Counts what a connection sends past its rates, and sends the client notices. It does not send one notice for each
 * message: that would make a flood cost us even more.
 */
export class Excess implements Timed {
  readonly #wheel: TimerWheel
  readonly #send: SendDroppedNotice
  #count = 0
  #countedAt = 0
  /** When the latest notices were sent, the oldest first. */
  readonly #sentAt: number[] = []
  /** Messages dropped since the last notice. */
  #dropped = 0
  #retryAt = 0
  wheelTick = -1

  constructor(wheel: TimerWheel, send: SendDroppedNotice) {
    this.#wheel = wheel
    this.#send = send
  }

  /** Counts one message past the rates. True if there were too many. */
  add(now: number): boolean {
    this.#count = Math.max(0, this.#count - (now - this.#countedAt) / FORGIVEN_EVERY) + 1
    this.#countedAt = now
    return this.#count >= MAX_EXCESS
  }

  /**
   * A message was dropped: sends a notice at once or, if there were too many notices, as soon as the next is allowed.
   */
  drop(retryAfter: number, now: number, message?: Buffer): void {
    this.#dropped++
    this.#retryAt = now + retryAfter
    // A notice is scheduled already.
    if (this.wheelTick >= 0) return
    const [oldest] = this.#sentAt
    if (oldest === undefined || this.#sentAt.length < MAX_NOTICES || now - oldest >= WINDOW) {
      this.#sendNotice(now, message)
    } else this.#wheel.set(this, oldest + WINDOW)
  }

  /** The wheel calls this when the scheduled notice may be sent. */
  onDue(now: number): number {
    this.#sendNotice(now)
    return Number.POSITIVE_INFINITY
  }

  /** The connection has ended. */
  end(): void {
    this.#wheel.delete(this)
  }

  #sendNotice(now: number, only?: Buffer): void {
    if (this.#sentAt.push(now) > MAX_NOTICES) this.#sentAt.shift()
    const dropped = this.#dropped
    this.#dropped = 0
    this.#send(dropped, Math.max(1, Math.ceil(this.#retryAt - now)), only)
  }
}
