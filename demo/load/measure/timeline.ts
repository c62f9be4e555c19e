import type { Crew } from '../crew.ts'
import { type Moment, type Phase, rounded } from '../result.ts'
import type { GeneratorUsage } from './generator-usage.ts'
import type { ServerSample, ServerUsage } from './server-usage.ts'

// Points of a plot: enough for a curve, and as many as a phone shows.
const MOMENTS = 120
const SHORTEST = 250
const LONGEST = 10_000

/** Milliseconds between two moments of a run of that length. */
export function intervalFor(duration: number): number {
  const even = Math.ceil(duration / MOMENTS / SHORTEST) * SHORTEST
  return Math.min(LONGEST, Math.max(SHORTEST, even))
}

/** The parts of a run that a timeline samples. */
export interface Watched {
  readonly crew: Crew
  readonly generator: GeneratorUsage
  readonly server: ServerUsage | undefined
  /** Messages published so far. */
  published(): number
  phase(): Phase
}

/** Samples a run at intervals. */
export class Timeline {
  readonly moments: Moment[] = []
  /** The server's maximum memory so far. */
  serverMemory: number | undefined
  readonly #watched: Watched
  readonly #origin: number
  #interval = 0
  #timer: NodeJS.Timeout | undefined
  #published = 0
  #delivered = 0
  #at: number
  #server: { readonly sample: ServerSample; readonly at: number } | undefined
  /** The figures since the last moment. */
  #latestServer: { readonly cpu: number | undefined; readonly memory: number } | undefined
  #asking = false

  constructor(watched: Watched, origin: number) {
    this.#watched = watched
    this.#origin = origin
    this.#at = origin
  }

  /** `onMoment` is called after each. */
  start(interval: number, onMoment: (moment: Moment) => void): void {
    this.#interval = interval
    this.#timer = setInterval(() => onMoment(this.#look()), interval)
  }

  stop(): void {
    clearInterval(this.#timer)
    // A few milliseconds say nothing about a second.
    if (performance.now() - this.#at > this.#interval / 2) this.#look()
  }

  #look(): Moment {
    const { crew, generator } = this.#watched
    const now = performance.now()
    const published = this.#watched.published()
    const { delivered } = crew.ledger
    const { latestLatency } = crew
    const isEmpty = latestLatency.count === 0
    const { delay, cpu } = generator.latest()
    const server = this.#latestServer
    this.#latestServer = undefined
    void this.#askServer(now)
    const moment: Moment = {
      at: rounded((now - this.#origin) / 1000),
      phase: this.#watched.phase(),
      span: rounded((now - this.#at) / 1000),
      connected: crew.present,
      published: published - this.#published,
      delivered: delivered - this.#delivered,
      p50: isEmpty ? null : rounded(latestLatency.percentile(50)),
      p99: isEmpty ? null : rounded(latestLatency.percentile(99)),
      max: isEmpty ? null : rounded(latestLatency.max),
      loopDelay: { p50: rounded(delay.p50), p99: rounded(delay.p99), max: rounded(delay.max) },
      generatorCpu: rounded(cpu),
      serverCpu: server?.cpu ?? null,
      serverMemory: server?.memory ?? null
    }
    this.#published = published
    this.#delivered = delivered
    this.#at = now
    latestLatency.reset()
    this.moments.push(moment)
    return moment
  }

  async #askServer(now: number): Promise<void> {
    const { server } = this.#watched
    const before = this.#server
    if (server === undefined || this.#asking || now - (before?.at ?? 0) < server.interval) return
    this.#asking = true
    const sample = await server.sample()
    this.#asking = false
    if (sample === undefined) return
    const at = performance.now()
    const cpu = before && rounded((sample.cpu - before.sample.cpu) / ((at - before.at) / 1000))
    this.#latestServer = { cpu, memory: sample.memory }
    this.#server = { sample, at }
    this.serverMemory = Math.max(this.serverMemory ?? 0, sample.memory)
  }
}
