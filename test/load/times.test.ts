import { test } from 'tap'
import { curveOf, newHistogram, OwnUsage, percentilesOf, record, whyNotCredible } from '../../lib/load/times.ts'

test('percentiles in milliseconds, to three digits', async (t) => {
  const histogram = newHistogram()
  t.same(percentilesOf(histogram), { count: 0, mean: 0, p50: 0, p90: 0, p99: 0, 'p99.9': 0, max: 0 })
  t.same(curveOf(histogram), [])
  for (let milliseconds = 1; milliseconds <= 1000; milliseconds++) record(histogram, milliseconds)
  const { count, mean, p50, p99, max } = percentilesOf(histogram)
  t.equal(count, 1000)
  for (const [measured, exact] of [
    [mean, 500.5],
    [p50, 500],
    [p99, 990],
    [max, 1000]
  ] as const) {
    t.ok(Math.abs(measured - exact) <= exact / 1000 + 0.1, `${measured} is about ${exact}`)
  }
  const curve = curveOf(histogram)
  t.equal(curve[0]?.[0], 0)
  t.ok(curve.every(([percent], at) => percent > (curve[at - 1]?.[0] ?? -1)))
})

test('what no clock measures is recorded at the ends', async (t) => {
  const histogram = newHistogram()
  record(histogram, -5)
  t.equal(percentilesOf(histogram).max, 0.001)
  record(histogram, 1e12)
  t.ok(percentilesOf(histogram).max >= 3_600_000)
})

test('times are credible if this process was late by little, or by little of them', async (t) => {
  t.equal(whyNotCredible({ p50: 9, p99: 10 }, { p50: 0, p99: 0 }), undefined)
  t.equal(whyNotCredible({ p50: 11, p99: 12 }, { p50: 44, p99: 48 }), undefined)
  t.match(whyNotCredible({ p50: 1, p99: 30 }, { p50: 1, p99: 100 }), /^not reported: .* late by 30\.0 ms \(p99/)
})

test('the usage of this process', async (t) => {
  const nothing = new OwnUsage().end()
  t.same(nothing.loopDelay, { p50: 0, p99: 0, max: 0 })
  const usage = new OwnUsage()
  await new Promise((resolve) => setTimeout(resolve, 50))
  const { cpu, memory, loopDelay } = usage.end()
  t.ok(cpu >= 0 && memory > 1e6 && loopDelay.max >= 0)
})
