import t from 'tap'
import { Subscription } from '../../lib/session/subscription.ts'
import { TimerWheel } from '../../lib/timing/timer-wheel.ts'
import { FakeClock } from '../support/clock.ts'

t.test('it begins unknown to its client, and expires once', async (t) => {
  const clock = new FakeClock(1_000)
  const wheel = new TimerWheel(clock, 50)
  let expired = 0
  const params = { room: '1' }
  const subscription = new Subscription({
    channel: 'rooms/1',
    definition: { joinLeave: true } as never,
    params,
    byServer: true,
    expired: () => expired++
  })
  t.match(subscription, { channel: 'rooms/1', definition: { joinLeave: true }, params, byServer: true, live: false })
  t.equal(subscription.info, undefined)
  wheel.set(subscription, 3_000)
  clock.advance(1_900)
  t.equal(expired, 0)
  clock.advance(200)
  t.equal(expired, 1)
  clock.advance(600_000)
  t.equal(expired, 1)
  t.equal(wheel.size, 0)
})
