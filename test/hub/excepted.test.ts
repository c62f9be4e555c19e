import t from 'tap'
import { exceptedId } from '../../lib/hub/excepted.ts'

t.test('a socket, an id, or nobody', async (t) => {
  t.equal(exceptedId(undefined), undefined)
  t.equal(exceptedId('c-1_Z'), 'c-1_Z')
  t.equal(exceptedId({ id: 'c1' }), 'c1')
})

t.test('what can be no connection is refused', async (t) => {
  for (const except of ['', 'a b', 'a'.repeat(65), null, 1, {}, { id: 1 }, [], true]) {
    t.throws(
      () => exceptedId(except as never),
      { code: 'FST_RT_INVALID_ARGUMENT', message: /^Argument except: / },
      `${except}`
    )
  }
})
