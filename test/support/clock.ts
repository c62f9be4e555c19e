import type { Clock } from '../../lib/timing/timer-wheel.ts'
import { idle } from './idle.ts'

interface Timer {
  due: number
  readonly milliseconds: number
  readonly callback: () => void
}

/** A clock that stands until told to go on. */
export class FakeClock implements Clock {
  #now: number
  readonly #timers = new Set<Timer>()

  constructor(now = 0) {
    this.#now = now
  }

  now(): number {
    return this.#now
  }

  every(milliseconds: number, callback: () => void): () => void {
    const timer = { due: this.#now + milliseconds, milliseconds, callback }
    this.#timers.add(timer)
    return () => this.#timers.delete(timer)
  }

  /** Timers that run. */
  get running(): number {
    return this.#timers.size
  }

  /** Lets time pass, and each timer fire when it is due. */
  advance(milliseconds: number): void {
    const end = this.#now + milliseconds
    for (let next = this.#next(end); next !== undefined; next = this.#next(end)) {
      this.#now = next.due
      next.due += next.milliseconds
      next.callback()
    }
    this.#now = end
  }

  /** As `advance`, in steps, before each of which all settles that can. */
  async pass(milliseconds: number, step = 10): Promise<void> {
    await idle()
    for (let left = milliseconds; left > 0; left -= step) {
      this.advance(Math.min(step, left))
      await idle()
    }
  }

  /** Time passes while nothing runs, as when the process is stopped; then each timer fires once. */
  stall(milliseconds: number): void {
    this.#now += milliseconds
    for (const timer of [...this.#timers]) {
      if (timer.due > this.#now) continue
      timer.due = this.#now + timer.milliseconds
      timer.callback()
    }
  }

  #next(end: number): Timer | undefined {
    let next: Timer | undefined
    for (const timer of this.#timers) if (timer.due <= end && timer.due < (next?.due ?? Infinity)) next = timer
    return next
  }
}
