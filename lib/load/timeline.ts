import type { Crew } from './crew.ts'
import type { Journal } from './journal.ts'
import { OwnUsage, percentilesOf, rounded } from './times.ts'

/** `settling`: all is sent, and messages in progress may still arrive. */
export type Phase = 'connecting' | 'sending' | 'settling'

/** One moment of a run. Counts are of the time since the moment before. */
export interface Moment extends ReturnType<OwnUsage['end']> {
  readonly phase: Phase
  /** Seconds since the run began, and since the moment before. */
  readonly at: number
  readonly span: number
  readonly connected: number
  readonly delivered: number
  /** Milliseconds. Null if nothing arrived. */
  readonly p50: number | null
  readonly p99: number | null
  readonly max: number | null
}

// Points of a plot: as many as a phone shows.
const MOMENTS = 120
const SHORTEST = 250
const LONGEST = 10_000

export class Timeline {
  readonly moments: Moment[] = []
  phase: Phase = 'connecting'
  readonly #crew: Crew
  readonly #journal: Journal
  readonly #origin: number
  readonly #timer: NodeJS.Timeout
  #own = new OwnUsage()
  #delivered = 0
  #at: number

  constructor(crew: Crew, journal: Journal, origin: number, duration: number, onMoment: (moment: Moment) => void) {
    this.#crew = crew
    this.#journal = journal
    this.#origin = origin
    this.#at = origin
    const interval = Math.min(LONGEST, Math.max(SHORTEST, Math.ceil(duration / MOMENTS)))
    this.#timer = setInterval(() => onMoment(this.look()), interval)
  }

  look(): Moment {
    const { ledger, latency, latestLatency } = this.#journal
    const now = performance.now()
    const { count, p50, p99, max } = percentilesOf(latestLatency)
    const moment: Moment = {
      phase: this.phase,
      at: rounded((now - this.#origin) / 1000),
      span: rounded((now - this.#at) / 1000),
      connected: this.#crew.present,
      delivered: ledger.delivered - this.#delivered,
      ...(count === 0 ? { p50: null, p99: null, max: null } : { p50, p99, max }),
      ...this.#own.end()
    }
    this.#own = new OwnUsage()
    this.#delivered = ledger.delivered
    this.#at = now
    latency.add(latestLatency)
    latestLatency.reset()
    this.moments.push(moment)
    return moment
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#own.end()
  }
}
