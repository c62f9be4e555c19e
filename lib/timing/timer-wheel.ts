import { rethrow } from '../input/thrown.ts'

/** An object with at most one deadline. */
export interface Timed {
  /** Only the wheel uses this: the tick of the deadline, or -1. */
  wheelTick: number
  /** Called when the deadline has passed. Returns the next one (in the clock's milliseconds), or Infinity for none. */
  onDue(now: number): number
}

/** A monotonic clock in milliseconds, and its timer. Tests replace it with a fake. */
export interface Clock {
  now(): number
  /** Calls back repeatedly, each time after `milliseconds`. The returned function stops it. */
  every(milliseconds: number, callback: () => void): () => void
}

/** Same as `systemClock`, but its timers keep the process alive (`ref`). */
export const refClock: Clock = {
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
// Milliseconds after which a callback that threw is called again. Otherwise a connection would lose its heartbeat.
const RETRY_DELAY = 1_000

/**
 * One timer for the deadlines of all connections: a hashed timing wheel (Varghese and Lauck, SOSP 1987). Setting,
 * moving and deleting a deadline cost the same with ten connections or a hundred thousand. Callbacks are called up to
 * one `resolution` late. The timer only runs while there are deadlines.
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
   * @param failed Called if a callback throws; the other callbacks are still called. Throws the error by default.
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
   * After a stall of the event loop, received data still waits in the kernel. So no peer may count as silent before
   * this time. The grace after the stall is as long as the stall, at most a second.
   */
  get graceUntil(): number {
    return this.#graceUntil
  }

  /** Sets or replaces the deadline. Infinity and NaN mean no deadline. */
  set(entry: Timed, at: number): void {
    this.delete(entry)
    if (!(at < Number.POSITIVE_INFINITY)) return
    if (this.#size === 0) this.#start()
    entry.wheelTick = Math.max(this.#tick + 1, Math.ceil(at / this.#resolution))
    this.#slot(entry.wheelTick).add(entry)
    this.#size++
  }

  /** Deletes the deadline, if there is one. */
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
    // Even after a stall longer than one turn of the wheel, each slot is visited only once.
    const first = Math.max(this.#tick + 1, target - SLOTS + 1)
    // Callbacks set new deadlines after `target`, because slots of earlier ticks may already have been visited.
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
      return now + RETRY_DELAY
    }
  }
}
