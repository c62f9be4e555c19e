import type { Timed, TimerWheel } from '../timing/timer-wheel.ts'

// Messages past a rate that end a connection, and the milliseconds in which one of them is forgiven. A client that is a
// little over its rate lives on; a flood ends within moments, and one that comes in bouts within a few of them.
const MOST = 2_000
const FORGIVEN_EVERY = 50
// Answers in any window of so many milliseconds.
const ANSWERS = 10
const WINDOW = 1_000

/**
 * Tells the client how many of its messages were dropped since the last answer, and when it may send again. `only` is
 * the message, if it is about one alone.
 */
export type DroppedNotice = (dropped: number, retryAfter: number, only: Buffer | undefined) => void

/** What a connection sends past its rates: counts it, and tells the client, which an answer to each would only help. */
export class Excess implements Timed {
  readonly #wheel: TimerWheel
  readonly #answer: DroppedNotice
  #count = 0
  #countedAt = 0
  /** When the last answers were sent, the oldest first. */
  readonly #answeredAt: number[] = []
  /** Messages dropped since the last answer. */
  #dropped = 0
  #retryAt = 0
  wheelTick = -1

  constructor(wheel: TimerWheel, answer: DroppedNotice) {
    this.#wheel = wheel
    this.#answer = answer
  }

  /** Counts something that was too much; true once there was too much of it. */
  note(now: number): boolean {
    this.#count = Math.max(0, this.#count - (now - this.#countedAt) / FORGIVEN_EVERY) + 1
    this.#countedAt = now
    return this.#count >= MOST
  }

  /** A message was dropped: tells the client at once, or with those that follow as soon as there may be an answer. */
  drop(retryAfter: number, now: number, message?: Buffer): void {
    this.#dropped++
    this.#retryAt = now + retryAfter
    // It is told already that there is something to tell.
    if (this.wheelTick >= 0) return
    const [oldest] = this.#answeredAt
    if (oldest === undefined || this.#answeredAt.length < ANSWERS || now - oldest >= WINDOW) this.#tell(now, message)
    else this.#wheel.set(this, oldest + WINDOW)
  }

  /** The wheel calls this. */
  onDue(now: number): number {
    this.#tell(now)
    return Number.POSITIVE_INFINITY
  }

  /** The connection is gone. */
  end(): void {
    this.#wheel.delete(this)
  }

  #tell(now: number, only?: Buffer): void {
    if (this.#answeredAt.push(now) > ANSWERS) this.#answeredAt.shift()
    const dropped = this.#dropped
    this.#dropped = 0
    this.#answer(dropped, Math.max(1, Math.ceil(this.#retryAt - now)), only)
  }
}
