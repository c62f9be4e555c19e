import { test } from 'tap'
import { bytes, count, duration, latency, rate, time } from '../../../../lib/dashboard/page/model/format.ts'

test('figures are short', async (t) => {
  t.same([0, 999, 12_345, 123_456, 7_654_321].map(count), ['0', '999', '12,345', '123K', '7.65M'])
  t.same([0, 0.44, 9.96, 12.4, 123_456].map(rate), ['0', '0.4', '10', '12', '123K'])
  t.same([0, 999, 1000, 1024, 150_000, 5e9].map(bytes), ['0 B', '999 B', '0.98 KB', '1 KB', '146 KB', '4.7 GB'])
  t.same([0, 0.00042, 0.0123, 0.5, 1, 12.34].map(latency), ['0 ms', '0.42 ms', '12.3 ms', '500 ms', '1 s', '12.3 s'])
  t.same([-5, 999, 61_000, 3_700_000, 90_000_000].map(duration), ['0 s', '0 s', '1 min', '1 h 1 min', '1 d 1 h'])
  for (const format of [count, rate, bytes, latency]) t.equal(format(null), '–')
  t.match(time(0), /^\d\d:\d\d:\d\d$/)
})
