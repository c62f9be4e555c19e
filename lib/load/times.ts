import { createHistogram, monitorEventLoopDelay, type RecordableHistogram } from 'node:perf_hooks'

export type Percentiles = ReturnType<typeof percentilesOf>

// Microseconds. Three digits of each value are kept.
const HOUR = 3_600_000_000
const PRECISION = { lowest: 1, highest: HOUR, figures: 3 }
// The points of the plot "latency by percentile" end here.
const LAST_PERCENTILE = 99.999

export function newHistogram(): RecordableHistogram {
  return createHistogram(PRECISION)
}

export function record(histogram: RecordableHistogram, milliseconds: number): void {
  histogram.record(Math.min(HOUR, Math.max(1, Math.round(milliseconds * 1000))))
}

export function percentilesOf(histogram: RecordableHistogram) {
  const at = (percent: number) => (histogram.count === 0 ? 0 : histogram.percentile(percent) / 1000)
  return {
    count: histogram.count,
    mean: histogram.count === 0 ? 0 : rounded(histogram.mean / 1000),
    p50: at(50),
    p90: at(90),
    p99: at(99),
    'p99.9': at(99.9),
    max: histogram.count === 0 ? 0 : histogram.max / 1000
  }
}

/** Pairs of a percentile and its milliseconds, closer to each other towards 100 %. */
export function curveOf(histogram: RecordableHistogram): [percent: number, milliseconds: number][] {
  if (histogram.count === 0) return []
  const points = [...histogram.percentiles].filter(([percent]) => percent <= LAST_PERCENTILE)
  return points.map(([percent, microseconds]) => [percent, microseconds / 1000])
}

export function rounded(value: number): number {
  return Math.round(value * 1000) / 1000
}

// Below this, the tool adds no more than any client would.
const CREDIBLE_DELAY = 10
// The tool's own lateness may be a quarter of the measured time.
const SHARE = 4

type Pair = { readonly p50: number; readonly p99: number }

/** Why this process's own lateness makes its times unreliable. Undefined if they are reliable. In milliseconds. */
export function whyNotCredible(loopDelay: Pair, measured: Pair): string | undefined {
  const late = (['p50', 'p99'] as const).find(
    (name) => loopDelay[name] > CREDIBLE_DELAY && loopDelay[name] > measured[name] / SHARE
  )
  if (late === undefined) return undefined
  return `not reported: this tool was itself late by ${loopDelay[late].toFixed(1)} ms (${late} of its event loop)`
}

// Milliseconds. The monitor's figures include it.
const RESOLUTION = 10

/** What this process uses, and how late its event loop is, since it was made. */
export class OwnUsage {
  readonly #delay = monitorEventLoopDelay({ resolution: RESOLUTION })
  readonly #cpu = process.cpuUsage()
  readonly #since = performance.now()

  constructor() {
    this.#delay.enable()
  }

  /** The CPU in cores, the memory in bytes, the event loop's delay in milliseconds. */
  end() {
    this.#delay.disable()
    const { user, system } = process.cpuUsage(this.#cpu)
    const milliseconds = (nanoseconds: number) =>
      this.#delay.count === 0 ? 0 : rounded(Math.max(0, nanoseconds / 1e6 - RESOLUTION))
    return {
      cpu: rounded((user + system) / 1000 / (performance.now() - this.#since)),
      memory: process.memoryUsage.rss(),
      loopDelay: {
        p50: milliseconds(this.#delay.percentile(50)),
        p99: milliseconds(this.#delay.percentile(99)),
        max: milliseconds(this.#delay.max)
      }
    }
  }
}
