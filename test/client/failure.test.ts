import t from 'tap'
import { ended, failure, handled } from '../../lib/client/failure.ts'

t.test('an error with a code', async (t) => {
  t.match(failure('closed', 'The client has ended'), { code: 'closed', message: 'The client has ended' })
  t.ok(failure('closed', '') instanceof Error)
})

t.test('the end has a code of its own', async (t) => {
  t.match(ended(), { code: 'closed', message: String })
})

t.test('a rejection that nobody waits for ends no process', async (t) => {
  let unhandled = 0
  const count = () => unhandled++
  process.on('unhandledRejection', count)
  t.teardown(() => process.off('unhandledRejection', count))
  const rejected = handled(Promise.reject(ended()))
  await new Promise(setImmediate)
  t.equal(unhandled, 0)
  await t.rejects(rejected, { code: 'closed' }, 'and who waits for it, has it')
})
