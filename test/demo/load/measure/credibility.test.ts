import t from 'tap'
import { whyNotCredible } from '../../../../demo/load/measure/credibility.ts'

t.test('times are credible up to a lateness of 10 ms, or of a quarter of what was measured', async (t) => {
  t.equal(whyNotCredible({ p50: 0, p99: 10 }, { p50: 1, p99: 1 }), undefined)
  t.equal(whyNotCredible({ p50: 0, p99: 50 }, { p50: 1, p99: 200 }), undefined)
  t.match(
    whyNotCredible({ p50: 0, p99: 50 }, { p50: 1, p99: 199 }),
    /late by 50\.0 ms \(p99 of its event loop\).*199\.0 ms/
  )
  // A storm makes the p99 large, and the median tells nothing but the generator's own.
  t.match(whyNotCredible({ p50: 12, p99: 50 }, { p50: 20, p99: 9_000 }), /late by 12\.0 ms \(p50 of its event loop\)/)
})
