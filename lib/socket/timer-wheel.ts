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
  /** Calls back every so many milliseconds until told to stop. Must not keep the process alive. */
  every(milliseconds: number, callback: () => void): () => void
}

export const systemClock: Clock = {
  now: () => performance.now(),
  every(milliseconds, callback) {
    const timer = setInterval(callback, milliseconds).unref()
    return () => clearInterval(timer)
  }
}

const SLOTS = 1024

/**
 * One timer for the deadlines of all connections: a hashed timing wheel (Varghese and Lauck, SOSP 1987), so that
 * setting, moving and dropping a deadline cost the same with ten connections or a hundred thousand. Deadlines are met
 * up to one `resolution` late. The timer only runs while there are deadlines.
 */
export class TimerWheel {
  readonly #clock: Clock
  readonly #resolution: number
  readonly #slots: Set<Timed>[] = Array.from({ length: SLOTS }, () => new Set())
  #tick: number
  #size = 0
  #stop: (() => void) | undefined
  #stalledAt = Number.NEGATIVE_INFINITY

  /** @param resolution Milliseconds. */
  constructor(clock: Clock, resolution: number) {
    this.#clock = clock
    this.#resolution = resolution
    this.#tick = this.#tickOf(clock.now())
  }

  get size(): number {
    return this.#size
  }

  now(): number {
    return this.#clock.now()
  }

  /**
   * When the event loop last came back from a stall that made this timer late by half a second or more. What arrived
   * meanwhile still waits in the kernel, so nobody should be judged by their silence right after.
   */
  get stalledAt(): number {
    return this.#stalledAt
  }

  /** Sets the deadline, in place of the one before. */
  set(entry: Timed, at: number): void {
    this.delete(entry)
    if (at === Number.POSITIVE_INFINITY) return
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
    if (this.#size === 0) this.#stop?.()
  }

  #tickOf(time: number): number {
    return Math.floor(time / this.#resolution)
  }

  #slot(tick: number): Set<Timed> {
    return this.#slots[tick % SLOTS] as Set<Timed>
  }

  #start(): void {
    this.#stop?.()
    this.#tick = this.#tickOf(this.#clock.now())
    this.#stop = this.#clock.every(this.#resolution, () => this.#advance())
  }

  #advance(): void {
    const now = this.#clock.now()
    const target = this.#tickOf(now)
    const late = now - (this.#tick + 2) * this.#resolution
    if (late >= STALL) this.#stalledAt = now
    // After a stall longer than one turn of the wheel each slot still needs only one visit.
    for (let tick = Math.max(this.#tick + 1, target - SLOTS + 1); tick <= target; tick++) {
      for (const entry of this.#slot(tick)) if (entry.wheelTick <= target) this.#fire(entry, now)
    }
    this.#tick = Math.max(this.#tick, target)
  }

  #fire(entry: Timed, now: number): void {
    this.delete(entry)
    const next = entry.onDue(now)
    // Not before the tick after this round, or a deadline in the past would be met for ever in one round.
    this.set(entry, Math.max(next, now + this.#resolution))
  }
}

const STALL = 500
