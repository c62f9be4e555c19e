import t from 'tap'
import { PingBarrier } from '../../lib/socket/ping-barrier.ts'
import { TimerWheel } from '../../lib/timing/timer-wheel.ts'
import { FakeClock } from '../support/clock.ts'

function make() {
  const clock = new FakeClock(1_000)
  const wheel = new TimerWheel(clock, 50)
  const pings: Buffer[] = []
  let ends = 0
  const barrier = new PingBarrier(
    wheel,
    (payload) => pings.push(payload),
    () => void ends++
  )
  return { clock, wheel, pings, barrier, ends: () => ends }
}

t.test('ends with the pong to its ping, and with no other', async (t) => {
  const { pings, barrier, ends } = make()
  t.equal(pings.length, 1)
  t.notOk(barrier.pongReceived(Buffer.from('another')))
  t.equal(ends(), 0)
  t.ok(barrier.pongReceived(Buffer.from(pings[0] as Buffer)))
  t.equal(ends(), 1)
})

t.test('does not wait for who is slow to pong', async (t) => {
  const { clock, wheel, ends } = make()
  clock.advance(900)
  t.equal(ends(), 0)
  clock.advance(150)
  t.equal(ends(), 1)
  t.equal(wheel.size, 0)
})

t.test('a connection that is gone leaves no timer', async (t) => {
  const { clock, wheel, barrier, ends } = make()
  barrier.cancel()
  t.equal(wheel.size, 0)
  clock.advance(2_000)
  t.equal(ends(), 0)
})
