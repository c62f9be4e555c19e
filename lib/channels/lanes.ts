interface Lane {
  running: number
  readonly waiting: (() => Promise<void>)[]
}

export interface LanesOptions {
  /** Jobs, waiting and running, from which on `full` is called; `free` once there are half as many. */
  readonly capacity: number
  full(): void
  free(): void
}

/**
 * The work of one connection: what is in one lane is done in order, so many at a time; lanes don't wait for each other,
 * so that a slow answer for one channel holds up no other. Jobs don't reject.
 */
export class Lanes {
  readonly #options: LanesOptions
  readonly #lanes = new Map<string, Lane>()
  #size = 0
  #full = false
  #whenIdle: (() => void)[] = []

  constructor(options: LanesOptions) {
    this.#options = options
  }

  /** Jobs, waiting and running. */
  get size(): number {
    return this.#size
  }

  run(name: string, concurrency: number, job: () => Promise<void>): void {
    const lane = this.#lanes.get(name) ?? { running: 0, waiting: [] }
    this.#lanes.set(name, lane)
    this.#size++
    if (lane.running < concurrency) void this.#start(name, lane, job)
    else lane.waiting.push(job)
    if (this.#full || this.#size < this.#options.capacity) return
    this.#full = true
    this.#options.full()
  }

  /** Forgets what waits. What runs can't be stopped. */
  clear(): void {
    for (const { waiting } of this.#lanes.values()) this.#size -= waiting.splice(0).length
  }

  /** Resolves once nothing runs or waits; undefined where nothing does. */
  idle(): Promise<void> | undefined {
    return this.#size === 0 ? undefined : new Promise((resolve) => this.#whenIdle.push(resolve))
  }

  async #start(name: string, lane: Lane, job: () => Promise<void>): Promise<void> {
    lane.running++
    await job()
    lane.running--
    this.#size--
    const next = lane.waiting.shift()
    if (next !== undefined) void this.#start(name, lane, next)
    else if (lane.running === 0) this.#lanes.delete(name)
    if (this.#full && this.#size <= this.#options.capacity / 2) {
      this.#full = false
      this.#options.free()
    }
    if (this.#size === 0) for (const resolve of this.#whenIdle.splice(0)) resolve()
  }
}
