import type { HistoryPolicy } from '../broker/broker.ts'
import { type Bounds, boundsFault } from './bounds.ts'

const BOUNDS: Readonly<Record<keyof HistoryPolicy, Bounds>> = { size: [1, 100_000], ttl: [1_000, 2_592_000_000] }
const NAMES = Object.keys(BOUNDS) as (keyof HistoryPolicy)[]

/**
 * How to mend what says how much of a channel is kept; undefined where nothing is wrong. A broker would take it as it
 * is: without `ttl` Redis deletes the stream with the publication that it has just taken.
 */
export function historyFault(history: unknown): string | undefined {
  if (typeof history !== 'object' || history === null) return 'make history an object with size and ttl'
  const stray = Object.keys(history).find((name) => !Object.hasOwn(BOUNDS, name))
  if (stray !== undefined) return `there is no history.${stray}; ${NAMES.join(' and ')} are`
  const faults = NAMES.map((name) => boundsFault(`history.${name}`, (history as HistoryPolicy)[name], BOUNDS[name]))
  return faults.find((fault) => fault !== undefined)
}
