import t from 'tap'
import { failure } from '../../lib/client/failure.ts'

t.test('an error with a code', async (t) => {
  t.match(failure('closed', 'The client has ended'), { code: 'closed', message: 'The client has ended' })
  t.ok(failure('closed', '') instanceof Error)
})
