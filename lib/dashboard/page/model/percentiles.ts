import type { Buckets } from '../../../node/figures.ts'

/** The observations after `earlier`, or all if there is none. */
export function between(later: Buckets, earlier?: Buckets): Buckets {
  const before = earlier?.counts ?? []
  return { bounds: later.bounds, counts: later.counts.map((count, at) => Math.max(0, count - (before[at] ?? 0))) }
}

/** The observations of several processes together; null for none. */
export function together([first, ...others]: readonly Buckets[]): Buckets | null {
  if (first === undefined) return null
  const counts = first.counts.map((count, at) => others.reduce((sum, { counts }) => sum + (counts[at] ?? 0), count))
  return { bounds: first.bounds, counts }
}

/**
 * The value (seconds) that this share of the observations does not exceed, estimated as by Prometheus's
 * histogram_quantile: evenly spread within a bucket, and the highest bound for larger values. Null if nothing was
 * observed.
 * @param share From 0 to 1.
 */
export function percentile(share: number, buckets: Buckets | null): number | null {
  const total = buckets?.counts.at(-1) ?? 0
  if (buckets === null || total === 0) return null
  const { bounds, counts } = buckets
  const rank = share * total
  const at = counts.findIndex((count) => count >= rank && count > 0)
  const bound = bounds[at]
  if (bound === undefined) return bounds.at(-1) ?? null
  const below = counts[at - 1] ?? 0
  const lower = bounds[at - 1] ?? 0
  return lower + ((bound - lower) * (rank - below)) / ((counts[at] as number) - below)
}
