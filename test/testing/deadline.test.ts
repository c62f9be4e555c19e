import t from 'tap'
import { DEFAULT_TIMEOUT, within } from '../../lib/testing/deadline.ts'
import { DeadlineError } from '../../lib/testing/errors.ts'
import { fakeTimers } from '../support/timers.ts'

t.test('what comes in time is what it is', async (t) => {
  t.equal(await within(1_000, 'a word', Promise.resolve('yes')), 'yes')
  await t.rejects(within(1_000, 'a word', Promise.reject(new Error('no'))), { message: 'no' })
})

t.test('what does not come is named, with the time that was waited', async (t) => {
  const never = new Promise<never>(() => undefined)
  await t.rejects(within(5, 'a message', never), new DeadlineError('a message', 5))
})

t.test('nothing is left of a wait that ended well: the process may exit', async (t) => {
  const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
  const before = timers()
  await within(60_000, 'a word', Promise.resolve())
  await within(60_000, 'a word', Promise.reject(new Error('no'))).catch(() => undefined)
  t.equal(timers(), before)
})

t.test('clocks that a test stops don’t stop its deadlines', async (t) => {
  fakeTimers(t)
  await t.rejects(within(5, 'a message', new Promise(() => undefined)), DeadlineError)
})

t.test('there is time enough for a busy machine', async (t) => {
  t.ok(DEFAULT_TIMEOUT >= 5_000)
})
