import t from 'tap'
import { BucketCounts } from '../../lib/node/bucket-counts.ts'

t.test('each bucket counts the observations below its bound too', async (t) => {
  const counts = new BucketCounts([0.1, 1])
  t.same(counts.buckets, { bounds: [0.1, 1], counts: [0, 0, 0] })
  for (const seconds of [0.05, 0.1, 0.5, 5]) counts.observe(seconds)
  t.same(counts.buckets.counts, [2, 3, 4])
})
