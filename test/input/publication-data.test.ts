import t from 'tap'
import { givenData, publicationData } from '../../lib/input/publication-data.ts'

t.test('bytes are counted, not characters', async (t) => {
  t.same(publicationData('"äöü"', 8), Buffer.from('"äöü"'))
  const tooLarge = { code: 'FST_RT_PUBLICATION_TOO_LARGE', statusCode: 413 }
  t.throws(() => publicationData('"äöü"', 7), tooLarge)
  t.throws(() => publicationData('"äöü"', 4), tooLarge, 'so many characters are more bytes in any case')
})

t.test('values are written as JSON, and bytes are copied', async (t) => {
  t.same(givenData({ a: 1 }, false, 10), Buffer.from('{"a":1}'))
  t.throws(() => givenData(new Uint8Array(1), false, 10), { code: 'FST_RT_INVALID_DATA', message: /binary: true/ })
  const bytes = Uint8Array.from([1, 2])
  const data = givenData(bytes, true, 2)
  bytes[0] = 9
  t.same(data, Buffer.from([1, 2]))
  t.same(givenData(Buffer.alloc(0), true, 2), Buffer.alloc(0))
  t.throws(() => givenData(Buffer.alloc(3), true, 2), { code: 'FST_RT_PUBLICATION_TOO_LARGE' })
  for (const wrong of ['text', { a: 1 }, [1], null, undefined, new ArrayBuffer(1), new Uint16Array(1)]) {
    t.throws(() => givenData(wrong, true, 10), { code: 'FST_RT_INVALID_BYTES' })
  }
})
