import t from 'tap'
import { withRest } from '../../lib/broker/with-rest.ts'

t.test('a publication has only what it was given', async (t) => {
  const publication = { offset: 1, epoch: 'e', data: Buffer.from('1') }
  const tags = new Map([['a', 'b']])
  t.equal(withRest(publication, undefined, undefined), publication)
  t.strictSame(withRest(publication, 'c1', undefined), { ...publication, except: 'c1' })
  t.strictSame(withRest(publication, undefined, tags), { ...publication, tags })
  t.strictSame(withRest(publication, 'c1', tags), { ...publication, except: 'c1', tags })
})
