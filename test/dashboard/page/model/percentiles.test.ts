import { test } from 'tap'
import { between, percentile, together } from '../../../../lib/dashboard/page/model/percentiles.ts'

const bounds = [1, 2, 4, 8]
const buckets = (...counts: number[]) => ({ bounds, counts })

test('a percentile lies within its bucket, evenly spread', async (t) => {
  // Ten observations: four up to 1, four more up to 2, two more up to 4.
  const observed = buckets(4, 8, 10, 10, 10)
  t.equal(percentile(0.2, observed), 0.5)
  t.equal(percentile(0.4, observed), 1)
  t.equal(percentile(0.6, observed), 1.5)
  t.equal(percentile(0.8, observed), 2)
  t.equal(percentile(0.9, observed), 3)
  t.equal(percentile(1, observed), 4)
})

test('beyond the last bound, in a single bucket, and of nothing', async (t) => {
  t.equal(percentile(0.99, buckets(0, 0, 0, 0, 5)), 8, 'at least the highest bound')
  t.equal(percentile(0.5, buckets(0, 0, 2, 2, 2)), 3)
  t.equal(percentile(0, buckets(0, 3, 3, 3, 3)), 1, 'no less than the bucket begins with')
  t.equal(percentile(0.5, buckets(0, 0, 0, 0, 0)), null)
  t.equal(percentile(0.5, null), null)
  t.equal(percentile(0.5, { bounds: [], counts: [5] }), null, 'no bound at all')
  t.equal(percentile(0.5, { bounds: [], counts: [] }), null)
})

test('between two states of a histogram, of one process or of several', async (t) => {
  const later = buckets(5, 9, 9, 10, 10)
  t.same(between(later, buckets(1, 4, 4, 4, 4)).counts, [4, 5, 5, 6, 6])
  t.same(between(later).counts, later.counts, 'all, where nothing came before')
  t.same(between(buckets(0, 0, 0, 0, 1), later).counts, [0, 0, 0, 0, 0], 'never less than none')
  t.same(together([buckets(1, 2, 3, 4, 5), buckets(1, 1, 1, 1, 1)])?.counts, [2, 3, 4, 5, 6])
  t.same(together([buckets(1, 2, 3, 4, 5), { bounds: [], counts: [] }])?.counts, [1, 2, 3, 4, 5])
  t.equal(together([]), null)
})
