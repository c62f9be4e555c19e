import type { DatedGoal } from './tables.ts'

/** Beside uWebSockets, measured by hand and dated: docs/benchmarks.md says how. Nobody has measured this version yet. */
export const QUOTED: readonly DatedGoal[] = []
