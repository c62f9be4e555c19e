import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks'

// The monitor includes its own interval.
const RESOLUTION = 10
const NANOSECONDS = 1e6
const MICROSECONDS = 1e6

/** How late a process's event loop was, in milliseconds. */
export interface LoopDelay {
  readonly p50: number
  readonly p99: number
  readonly max: number
}

/** The cost and the lateness of this process itself. */
export class GeneratorUsage {
  readonly #delay = monitorEventLoopDelay({ resolution: RESOLUTION })
  readonly #latestDelay = monitorEventLoopDelay({ resolution: RESOLUTION })
  #cpuBefore = process.cpuUsage()
  #since = performance.now()
  #latestCpu = process.cpuUsage()
  #latestSince = performance.now()
  #memory = 0

  constructor() {
    this.#delay.enable()
    this.#latestDelay.enable()
  }

  /** Starts again: the time before does not count. */
  restart(): void {
    this.#delay.reset()
    this.#cpuBefore = process.cpuUsage()
    this.#since = performance.now()
  }

  /** Covers the time since the last call. */
  latest(): { delay: LoopDelay; cpu: number; memory: number } {
    const delay = read(this.#latestDelay)
    this.#latestDelay.reset()
    const cpu = share(this.#latestCpu, this.#latestSince)
    this.#latestCpu = process.cpuUsage()
    this.#latestSince = performance.now()
    return { delay, cpu, memory: this.#readMemory() }
  }

  /** Covers the time since `restart`: the CPU in cores, the maximum memory so far in bytes. */
  total(): { delay: LoopDelay; cpu: number; memory: number } {
    this.#readMemory()
    return { delay: read(this.#delay), cpu: share(this.#cpuBefore, this.#since), memory: this.#memory }
  }

  stop(): void {
    this.#delay.disable()
    this.#latestDelay.disable()
  }

  #readMemory(): number {
    const memory = process.memoryUsage.rss()
    this.#memory = Math.max(this.#memory, memory)
    return memory
  }
}

function read(delay: IntervalHistogram): LoopDelay {
  // There is no sample yet: the loop has not turned since.
  if (delay.count === 0) return { p50: 0, p99: 0, max: 0 }
  const milliseconds = (nanoseconds: number) => Math.max(0, nanoseconds / NANOSECONDS - RESOLUTION)
  return {
    p50: milliseconds(delay.percentile(50)),
    p99: milliseconds(delay.percentile(99)),
    max: milliseconds(delay.max)
  }
}

function share(before: NodeJS.CpuUsage, since: number): number {
  const { user, system } = process.cpuUsage(before)
  return (user + system) / MICROSECONDS / ((performance.now() - since) / 1000)
}
