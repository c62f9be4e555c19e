import t from 'tap'
import { HookDeadline } from '../../lib/timing/hook-deadline.ts'
import { TimerWheel } from '../../lib/timing/timer-wheel.ts'
import { FakeClock } from '../support/clock.ts'

function make() {
  const clock = new FakeClock(1_000)
  const wheel = new TimerWheel(clock, 50)
  return { clock, wheel, deadline: new HookDeadline(wheel, 500) }
}

t.test('what is there is not waited for, and leaves no timer', async (t) => {
  const { wheel, deadline } = make()
  for (const value of [undefined, null, 0, { a: 1 }]) t.equal(await deadline.wait(value), value)
  t.equal(wheel.size, 0)
})

t.test('what settles in time is passed on, and its timer goes', async (t) => {
  const { wheel, deadline } = make()
  const good = deadline.wait(Promise.resolve('done'))
  const bad = deadline.wait(Promise.reject(new Error('refused')))
  t.equal(wheel.size, 2)
  t.equal(await good, 'done')
  await t.rejects(bad, { message: 'refused' })
  await new Promise(setImmediate)
  t.equal(wheel.size, 0)
})

t.test('what does not is given up, and its own rejection later is nobody’s', async (t) => {
  const { clock, wheel, deadline } = make()
  let fail: (error: Error) => void = () => undefined
  const late = deadline.wait(
    new Promise<void>((_resolve, reject) => {
      fail = reject
    })
  )
  clock.advance(450)
  t.equal(wheel.size, 1)
  clock.advance(100)
  await t.rejects(late, { code: 'FST_RT_HOOK_TIMEOUT' })
  t.equal(wheel.size, 0)
  fail(new Error('too late'))
})
