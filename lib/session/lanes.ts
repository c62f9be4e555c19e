interface Job {
  /** What the job holds until it is done. */
  readonly bytes: number
  run(): Promise<void>
}

interface Lane {
  running: number
  readonly waiting: Job[]
}

export interface LanesOptions {
  /** Jobs, waiting and running, from which on `full` is called; `free` once there are half as many. */
  readonly capacity: number
  /** Bytes of these jobs, from which on `full` is called; `free` once there are fewer. */
  readonly maxBytes: number
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
  #bytes = 0
  #full = false
  #whenIdle: (() => void)[] = []

  constructor(options: LanesOptions) {
    this.#options = options
  }

  /** Jobs, waiting and running. */
  get size(): number {
    return this.#size
  }

  run(name: string, concurrency: number, run: () => Promise<void>, bytes = 0): void {
    const job = { bytes, run }
    const lane = this.#lanes.get(name) ?? { running: 0, waiting: [] }
    this.#lanes.set(name, lane)
    this.#size++
    this.#bytes += bytes
    if (lane.running < concurrency) void this.#start(name, lane, job)
    else lane.waiting.push(job)
    const { capacity, maxBytes } = this.#options
    if (this.#full || (this.#size < capacity && this.#bytes < maxBytes)) return
    this.#full = true
    this.#options.full()
  }

  /** Forgets what waits. What runs can't be stopped. */
  clear(): void {
    for (const { waiting } of this.#lanes.values()) {
      for (const { bytes } of waiting.splice(0)) this.#left(bytes)
    }
  }

  /** Resolves once nothing runs or waits; undefined where nothing does. */
  idle(): Promise<void> | undefined {
    return this.#size === 0 ? undefined : new Promise((resolve) => this.#whenIdle.push(resolve))
  }

  #left(bytes: number): void {
    this.#size--
    this.#bytes -= bytes
  }

  async #start(name: string, lane: Lane, job: Job): Promise<void> {
    lane.running++
    await job.run()
    lane.running--
    this.#left(job.bytes)
    const next = lane.waiting.shift()
    if (next !== undefined) void this.#start(name, lane, next)
    else if (lane.running === 0) this.#lanes.delete(name)
    const { capacity, maxBytes } = this.#options
    if (this.#full && this.#size <= capacity / 2 && this.#bytes < maxBytes) {
      this.#full = false
      this.#options.free()
    }
    if (this.#size === 0) for (const resolve of this.#whenIdle.splice(0)) resolve()
  }
}
