import { assert as holds, integer, property, record } from 'fast-check'
import t from 'tap'
import { TokenBucket } from '../../lib/timing/token-bucket.ts'

t.test('a burst, then the rate', async (t) => {
  const bucket = new TokenBucket({ rate: 100, burst: 3 }, 1_000)
  t.same([bucket.take(1_000), bucket.take(1_000), bucket.take(1_000)], [0, 0, 0])
  t.equal(bucket.take(1_000), 10, 'says when there will be one')
  t.equal(bucket.take(1_004), 6)
  t.equal(bucket.take(1_010), 0)
  t.equal(bucket.take(1_010), 10)
})

t.test('a refusal costs nothing', async (t) => {
  const bucket = new TokenBucket({ rate: 1, burst: 1 }, 0)
  bucket.take(0)
  for (let i = 0; i < 100; i++) bucket.take(0)
  t.equal(bucket.take(1_000), 0)
})

t.test('no more gathers than a burst', async (t) => {
  const bucket = new TokenBucket({ rate: 1_000, burst: 2 }, 0)
  t.same([bucket.take(3_600_000), bucket.take(3_600_000), bucket.take(3_600_000)], [0, 0, 1])
})

t.test('reserve goes into debt, and returns when it is paid', async (t) => {
  const bucket = new TokenBucket({ rate: 10, burst: 2 }, 0)
  t.same([bucket.reserve(0), bucket.reserve(0), bucket.reserve(0), bucket.reserve(0)], [0, 0, 100, 200])
  t.equal(bucket.reserve(200), 100)
  t.equal(bucket.reserve(10_000), 0)
})

t.test('many tokens at once, and a debt that ends', async (t) => {
  const bucket = new TokenBucket({ rate: 1_000, burst: 10 }, 0, 500)
  t.equal(bucket.debt(0), 0)
  t.equal(bucket.reserve(0, 10), 0, 'the last one is no debt')
  t.equal(bucket.reserve(0, 100), 100)
  t.equal(bucket.debt(40), 60)
  t.equal(bucket.reserve(40, 1e9), 500)
  t.equal(bucket.debt(540), 0)
})

t.test('who waits as long as told gets one', async () => {
  // Times as performance.now() gives them: not whole milliseconds.
  const rates = record({ rate: integer({ min: 1, max: 100_000 }), burst: integer({ min: 1, max: 50 }) })
  holds(
    property(
      rates,
      integer({ min: 0, max: 2 ** 40 }).map((time) => time / 1_000),
      integer({ min: 1, max: 200 }),
      ({ rate, burst }, start, count) => {
        const bucket = new TokenBucket({ rate: rate / 100, burst }, start)
        let now = start
        for (let i = 0; i < count; i++) {
          const wait = bucket.take(now)
          if (wait === 0) continue
          now += wait
          if (bucket.take(now) !== 0) return false
        }
        return true
      }
    )
  )
})
