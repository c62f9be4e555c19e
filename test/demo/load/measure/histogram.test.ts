import fc from 'fast-check'
import t from 'tap'
import { Histogram } from '../../../../demo/load/measure/histogram.ts'

const microseconds = fc.array(fc.integer({ min: 0, max: 2 ** 32 - 1 }), { minLength: 1, maxLength: 300 })

t.test('a percentile is no less than the exact one, and less than 0.8 % more', async () => {
  fc.assert(
    fc.property(microseconds, fc.constantFrom(1, 50, 90, 99, 99.9, 100), (values, percent) => {
      const histogram = new Histogram()
      for (const value of values) histogram.record(value)
      const sorted = values.toSorted((a, b) => a - b)
      const exact = (sorted[Math.ceil((percent / 100) * values.length - 1e-9) - 1] as number) / 1000
      const told = histogram.percentile(percent)
      return told >= exact && told <= exact * 1.008
    })
  )
})

t.test('count, mean and ends are exact', async () => {
  fc.assert(
    fc.property(microseconds, (values) => {
      const histogram = new Histogram()
      for (const value of values) histogram.record(value)
      const mean = values.reduce((sum, value) => sum + value, 0) / values.length / 1000
      return (
        histogram.count === values.length &&
        Math.abs(histogram.mean - mean) <= mean * 1e-9 &&
        histogram.min === Math.min(...values) / 1000 &&
        histogram.max === Math.max(...values) / 1000
      )
    })
  )
})

t.test('stretches that follow each other hold everything once', async () => {
  fc.assert(
    fc.property(microseconds, fc.integer({ min: 1, max: 1_000_000 }), (values, edge) => {
      const histogram = new Histogram()
      for (const value of values) histogram.record(value)
      const below = histogram.countBetween(0, edge)
      return below + histogram.countBetween(edge, Number.POSITIVE_INFINITY) === values.length
    })
  )
})

t.test('what is out of its range counts as its end, and a reset forgets', async (t) => {
  const histogram = new Histogram()
  t.same([histogram.percentile(50), histogram.mean, histogram.min, histogram.max], [0, 0, 0, 0])
  histogram.record(-5)
  histogram.record(1.9)
  histogram.record(1e12)
  t.same([histogram.min, histogram.percentile(50), histogram.max], [0, 0.001, 4_294_967.295])
  histogram.reset()
  t.same([histogram.count, histogram.percentile(99), histogram.max], [0, 0, 0])
})
