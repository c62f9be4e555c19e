/**
 * The buckets of a histogram with the observations between two moments.
 *
 * @typedef {object} Buckets
 * @property {number[]} bounds upper bounds, in seconds, ascending; one more bucket has none
 * @property {number[]} counts how many observations were at most each bound, and, last, how many there were
 */

/** The observations after `earlier`, or all if there is none. @param {Buckets} later @param {Buckets} [earlier] */
export function between(later, earlier) {
  const before = earlier?.counts ?? []
  return { bounds: later.bounds, counts: later.counts.map((count, at) => Math.max(0, count - (before[at] ?? 0))) }
}

/** The observations of several processes together; null for none. @param {Buckets[]} all */
export function together(all) {
  if (all.length === 0) return null
  const [{ bounds }] = all
  const counts = Array.from({ length: bounds.length + 1 }, (_, at) =>
    all.reduce((sum, buckets) => sum + (buckets.counts[at] ?? 0), 0)
  )
  return { bounds, counts }
}

/**
 * The value (seconds) that this share of the observations does not exceed, estimated as by Prometheus's
 * histogram_quantile: evenly spread within a bucket, and the highest bound for larger values. Null if nothing was
 * observed.
 *
 * @param {number} share from 0 to 1
 * @param {Buckets | null} buckets
 */
export function percentile(share, buckets) {
  const total = buckets?.counts.at(-1) ?? 0
  if (total === 0) return null
  const { bounds, counts } = buckets
  const rank = share * total
  const at = counts.findIndex((count) => count >= rank && count > 0)
  if (at >= bounds.length) return bounds.at(-1) ?? null
  const below = at === 0 ? 0 : counts[at - 1]
  const lower = at === 0 ? 0 : bounds[at - 1]
  return lower + ((bounds[at] - lower) * (rank - below)) / (counts[at] - below)
}
