import t from 'tap'
import { withFlags } from '../../lib/broker/with-flags.ts'

t.test('a publication has only the properties that it needs', async (t) => {
  const publication = { offset: 1, epoch: 'e', data: Buffer.from('1') }
  t.equal(withFlags(publication, undefined, undefined), publication)
  t.equal(withFlags(publication, undefined, false), publication)
  t.strictSame(withFlags(publication, 'c', false), { ...publication, except: 'c' })
  t.strictSame(withFlags(publication, undefined, true), { ...publication, binary: true })
  t.strictSame(withFlags(publication, 'c', true), { ...publication, except: 'c', binary: true })
})
