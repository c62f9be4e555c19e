import t from 'tap'
import { stringify } from '../../lib/socket/stringify.ts'

t.test('what JSON can say', async (t) => {
  for (const value of [null, 0, '', [], {}, { a: [1, 'b', true] }]) t.equal(stringify(value), JSON.stringify(value))
  t.equal(stringify({ toJSON: () => 1 }), '1')
})

t.test('what it cannot is FST_RT_INVALID_DATA, with the cause', async (t) => {
  const cycle: { self?: unknown } = {}
  cycle.self = cycle
  const broken = {
    toJSON() {
      throw new Error('no')
    }
  }
  for (const value of [1n, { a: 1n }, cycle, broken]) {
    t.throws(() => stringify(value), { code: 'FST_RT_INVALID_DATA', cause: Error })
  }
  for (const value of [undefined, () => {}, Symbol('a'), { toJSON: () => undefined }]) {
    t.throws(() => stringify(value), { code: 'FST_RT_INVALID_DATA', cause: undefined })
  }
})
