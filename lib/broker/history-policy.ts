import { type Bounds, boundsFault } from '../input/bounds.ts'
import type { HistoryPolicy } from './broker.ts'

const DEFAULT_BYTES = 8_388_608
const BOUNDS: Readonly<Record<keyof HistoryPolicy, Bounds>> = {
  size: [1, 100_000],
  ttl: [1_000, 2_592_000_000],
  maxBytes: [1_024, 1_073_741_824]
}
const NAMES = Object.keys(BOUNDS) as (keyof HistoryPolicy)[]

/**
 * How to mend what says how much of a channel is kept; undefined where nothing is wrong. A broker would take it as it
 * is: without `ttl` Redis deletes the stream with the publication that it has just taken.
 */
export function historyFault(history: unknown): string | undefined {
  if (typeof history !== 'object' || history === null) return 'make history an object with size and ttl'
  const stray = Object.keys(history).find((name) => !Object.hasOwn(BOUNDS, name))
  if (stray !== undefined) return `there is no history.${stray}; ${NAMES.join(', ')} are`
  const policy = completeHistory(history as HistoryPolicy)
  const faults = NAMES.map((name) => boundsFault(`history.${name}`, policy[name], BOUNDS[name]))
  return faults.find((fault) => fault !== undefined)
}

/** What an application says of a channel's history, with the default for what it left out. */
export function completeHistory(history: HistoryPolicy): Required<HistoryPolicy> {
  const { size, ttl, maxBytes = DEFAULT_BYTES } = history
  return { size, ttl, maxBytes }
}
