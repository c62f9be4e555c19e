import t from 'tap'
import { publicationData } from '../../lib/input/publication-data.ts'

t.test('bytes are counted, not characters', async (t) => {
  t.same(publicationData('"äöü"', 8), Buffer.from('"äöü"'))
  const tooLarge = { code: 'FST_RT_PUBLICATION_TOO_LARGE', statusCode: 413 }
  t.throws(() => publicationData('"äöü"', 7), tooLarge)
  t.throws(() => publicationData('"äöü"', 4), tooLarge, 'so many characters are more bytes in any case')
})
