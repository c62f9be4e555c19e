import type { DatedGoal } from './tables.ts'

const date = '2026-11-27'

/** Beside uWebSockets, measured by hand and dated: docs/benchmarks.md says how. Medians of three interleaved runs. */
export const QUOTED: readonly DatedGoal[] = [
  {
    work: 'fan-out in bursts, sockets / uWebSockets',
    must: 1.1,
    aim: 1.3,
    better: 'more',
    reached: { median: 1.23, least: 1.18, most: 1.46 },
    date
  },
  {
    work: 'fan-out in bursts, channel clients / uWebSockets',
    must: 1.1,
    aim: 1.3,
    better: 'more',
    reached: { median: 1.21, least: 1.02, most: 1.36 },
    date
  },
  {
    work: '300 messages a second to 1,000, 99th percentile / uWebSockets',
    must: 1.1,
    aim: 1,
    better: 'less',
    reached: { median: 0.86, least: 0.83, most: 0.95 },
    date
  }
]
