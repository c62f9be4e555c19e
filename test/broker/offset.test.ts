import t from 'tap'
import { isOffset } from '../../lib/broker/offset.ts'

t.test('whole numbers from 0 up, as far as a double counts', async (t) => {
  for (const offset of [0, 1, 2 ** 53 - 1]) t.equal(isOffset(offset), true, `${offset}`)
  for (const other of [-1, 1.5, 2 ** 53, Number.NaN, Number.POSITIVE_INFINITY, '1', 1n, null, undefined, {}]) {
    t.equal(isOffset(other), false, String(other))
  }
})
