import t from 'tap'
import { boundsFault } from '../../lib/input/bounds.ts'

t.test('a whole number within its bounds, or how to mend it', async (t) => {
  for (const value of [1, 5, 10]) t.equal(boundsFault('size', value, [1, 10]), undefined)
  for (const value of [0, 11, 1.5, Number.NaN, Number.POSITIVE_INFINITY, '5', 5n, null, undefined]) {
    t.equal(boundsFault('size', value, [1, 10]), 'make size a whole number from 1 to 10')
  }
})
