import t from 'tap'
import { stringify } from '../../lib/input/stringify.ts'

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

t.test('case 174: bytes, at the top or within', async (t) => {
  const bytes = [
    Buffer.from('a'),
    Buffer.alloc(0),
    new Uint8Array(2),
    new Uint8Array(0),
    new Float64Array(1),
    new DataView(new ArrayBuffer(1)),
    new ArrayBuffer(1),
    { image: Buffer.from('a') },
    { a: [{ b: new Uint8Array(2) }] }
  ]
  for (const value of bytes) t.throws(() => stringify(value), { code: 'FST_RT_INVALID_DATA' })
  const like = [{ 0: 1, 1: 2 }, { type: 'Buffer', data: [1] }, '{"0":', { toJSON: () => ({ 0: 1 }) }]
  for (const value of like) t.equal(stringify(value), JSON.stringify(value), 'only looks like it')
})
