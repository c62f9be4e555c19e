import t from 'tap'
import { withRest } from '../../lib/broker/with-rest.ts'

t.test('a publication has only what it was given', async (t) => {
  const publication = { offset: 1, epoch: 'e', data: Buffer.from('1') }
  const tags = new Map([['a', 'b']])
  t.equal(withRest(publication, {}), publication)
  t.strictSame(withRest(publication, { except: 'c1' }), { ...publication, except: 'c1' })
  t.equal(withRest(publication), publication)
  t.equal(withRest(publication, { binary: false }), publication)
  t.strictSame(withRest(publication, { binary: true }), { ...publication, binary: true })
  t.strictSame(withRest(publication, { tags }), { ...publication, tags })
  t.strictSame(withRest(publication, { except: 'c1', tags }), { ...publication, except: 'c1', tags })
})
