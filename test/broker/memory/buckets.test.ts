import t from 'tap'
import { MemoryBuckets } from '../../../lib/broker/memory/buckets.ts'

const BUCKET = { rate: 10, burst: 5 }

t.test('a bucket begins full, and fills at its rate up to its burst', async (t) => {
  const buckets = new MemoryBuckets()
  t.strictSame(buckets.take('u', 3, BUCKET, 0), { granted: 3, retryAfter: 0 })
  t.strictSame(buckets.take('u', 3, BUCKET, 0), { granted: 2, retryAfter: 100 }, 'what there is, of what is wanted')
  t.strictSame(buckets.take('u', 1, BUCKET, 50), { granted: 0, retryAfter: 50 }, 'half a token is none, and stays')
  t.strictSame(buckets.take('u', 1, BUCKET, 100), { granted: 1, retryAfter: 0 })
  t.strictSame(buckets.take('u', 1, BUCKET, 100), { granted: 0, retryAfter: 100 }, 'no time counts twice')
  t.strictSame(buckets.take('u', 9, BUCKET, 60_000), { granted: 5, retryAfter: 100 }, 'never more than the burst')
})

t.test('each key has its own', async (t) => {
  const buckets = new MemoryBuckets()
  buckets.take('u', 5, BUCKET, 0)
  t.equal(buckets.take('v', 5, BUCKET, 0).granted, 5)
})

t.test('it follows a limit that was changed', async (t) => {
  const buckets = new MemoryBuckets()
  buckets.take('u', 5, BUCKET, 0)
  t.equal(buckets.take('u', 100, { rate: 50, burst: 20 }, 200).granted, 10)
  t.equal(buckets.take('u', 100, { rate: 50, burst: 2 }, 60_000).granted, 2)
})

t.test('one that is full again is forgotten, and not before', async (t) => {
  const buckets = new MemoryBuckets()
  buckets.take('u', 4, BUCKET, 1_000)
  buckets.take('v', 1, BUCKET, 1_000)
  t.equal(buckets.size, 2)
  buckets.sweep(1_100)
  t.equal(buckets.size, 1)
  buckets.sweep(1_399)
  t.equal(buckets.size, 1)
  t.equal(buckets.take('u', 5, BUCKET, 1_399).granted, 4, 'it was still filling')
  buckets.sweep(60_000)
  t.equal(buckets.size, 0)
})
