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
 * Returns how to fix a history policy, or undefined if it is valid. A broker does not check it: without `ttl`, Redis
 * deletes the stream with the publication that was just added.
 */
export function historyFault(history: unknown): string | undefined {
  if (typeof history !== 'object' || history === null) return 'make history an object with size and ttl'
  const unknownName = Object.keys(history).find((name) => !Object.hasOwn(BOUNDS, name))
  if (unknownName !== undefined) return `there is no history.${unknownName}; ${NAMES.join(', ')} are`
  const policy = completeHistory(history as HistoryPolicy)
  const faults = NAMES.map((name) => boundsFault(`history.${name}`, policy[name], BOUNDS[name]))
  return faults.find((fault) => fault !== undefined)
}

/** The history policy that an application declares, with the default for the bytes if it gives none. */
export function completeHistory(history: HistoryPolicy): Required<HistoryPolicy> {
  const { size, ttl, maxBytes = DEFAULT_BYTES } = history
  return { size, ttl, maxBytes }
}
