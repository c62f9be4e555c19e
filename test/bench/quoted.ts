import type { DatedGoal } from './tables.ts'

const quoted = (work: string, better: DatedGoal['better'], must: number, aim: number, value: number): DatedGoal => {
  const reached = { median: value, least: value, most: value }
  return { work, better, must, aim, reached, date: '2026-11-27' }
}

/** Beside uWebSockets, measured by hand: docs/benchmarks.md says how. */
export const QUOTED: readonly DatedGoal[] = [
  quoted('fan-out in bursts, sockets / uWebSockets', 'more', 1.1, 1.3, 0.95),
  quoted('fan-out in bursts, channel clients / uWebSockets', 'more', 1.1, 1.3, 0.89),
  quoted('300 messages a second to 1,000: p99 / uWebSockets', 'less', 1.1, 1, 1.08)
]
