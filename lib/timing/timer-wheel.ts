import { rethrow } from '../input/thrown.ts'

/** Something with one deadline at a time. */
export interface Timed {
  /** The wheel's own: the tick this stands in, or -1. */
  wheelTick: number
  /** Called once the deadline is past; gives the next one (in the clock's milliseconds), or Infinity for none. */
  onDue(now: number): number
}

/** A monotonic clock in milliseconds, and the one timer: what tests put a fake in for. */
export interface Clock {
  now(): number
  /** Calls back every so many milliseconds until told to stop. */
  every(milliseconds: number, callback: () => void): () => void
}

/** As `systemClock`, but its timers keep the process alive: for what must be waited for. */
export const holdingClock: Clock = {
  now: () => performance.now(),
  every(milliseconds, callback) {
    const timer = setInterval(callback, milliseconds)
    return () => clearInterval(timer)
  }
}

export const systemClock: Clock = {
  now: () => performance.now(),
  every(milliseconds, callback) {
    const timer = setInterval(callback, milliseconds).unref()
    return () => clearInterval(timer)
  }
}

const SLOTS = 1024
const MAX_GRACE = 1_000
// A deadline whose callback failed is tried again: without it a connection would have no heartbeat any more.
const RETRY = 1_000

/**
 * One timer for the deadlines of all connections: a hashed timing wheel (Varghese and Lauck, SOSP 1987), so that
 * setting, moving and dropping a deadline cost the same with ten connections or a hundred thousand. Deadlines are met
 * up to one `resolution` late. The timer only runs while there are deadlines.
 */
export class TimerWheel {
  readonly #clock: Clock
  readonly #resolution: number
  readonly #failed: (error: unknown) => void
  readonly #slots: Set<Timed>[] = Array.from({ length: SLOTS }, () => new Set())
  #tick: number
  #size = 0
  #stop: (() => void) | undefined
  #graceUntil = Number.NEGATIVE_INFINITY

  /**
   * @param resolution Milliseconds.
   * @param failed Reports an error in one callback, while the others are called. Throws it by default.
   */
  constructor(clock: Clock, resolution: number, failed: (error: unknown) => void = rethrow) {
    this.#clock = clock
    this.#resolution = resolution
    this.#failed = failed
    this.#tick = this.#tickOf(clock.now())
  }

  get size(): number {
    return this.#size
  }

  now(): number {
    return this.#clock.now()
  }

  /**
   * The event loop has come back from a stall: what arrived meanwhile still waits in the kernel, so nobody should be
   * judged by their silence before this time. As long after the stall as the stall was, a second at most.
   */
  get graceUntil(): number {
    return this.#graceUntil
  }

  /** Sets the deadline, in place of the one before. What is no time is none. */
  set(entry: Timed, at: number): void {
    this.delete(entry)
    if (!(at < Number.POSITIVE_INFINITY)) return
    if (this.#size === 0) this.#start()
    entry.wheelTick = Math.max(this.#tick + 1, Math.ceil(at / this.#resolution))
    this.#slot(entry.wheelTick).add(entry)
    this.#size++
  }

  /** Drops the deadline, if there is one. */
  delete(entry: Timed): void {
    if (entry.wheelTick < 0) return
    this.#slot(entry.wheelTick).delete(entry)
    entry.wheelTick = -1
    this.#size--
    if (this.#size > 0) return
    const stop = this.#stop as () => void
    stop()
  }

  #tickOf(time: number): number {
    return Math.floor(time / this.#resolution)
  }

  #slot(tick: number): Set<Timed> {
    return this.#slots[tick % SLOTS] as Set<Timed>
  }

  #start(): void {
    this.#tick = this.#tickOf(this.#clock.now())
    this.#stop = this.#clock.every(this.#resolution, () => this.#advance())
  }

  #advance(): void {
    const now = this.#clock.now()
    const target = this.#tickOf(now)
    const late = now - (this.#tick + 2) * this.#resolution
    if (late > 0) this.#graceUntil = Math.max(this.#graceUntil, now + Math.min(late, MAX_GRACE))
    // After a stall longer than one turn of the wheel each slot still needs only one visit.
    const first = Math.max(this.#tick + 1, target - SLOTS + 1)
    // From here on no deadline can be set in a slot of this round, which may have had its visit.
    this.#tick = target
    for (let tick = first; tick <= target; tick++) {
      for (const entry of this.#slot(tick)) if (entry.wheelTick <= target) this.#fire(entry, now)
    }
  }

  #fire(entry: Timed, now: number): void {
    this.delete(entry)
    this.set(entry, this.#nextOf(entry, now))
  }

  #nextOf(entry: Timed, now: number): number {
    try {
      return entry.onDue(now)
    } catch (error) {
      this.#failed(error)
      return now + RETRY
    }
  }
}
