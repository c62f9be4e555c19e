import t from 'tap'
import { PAUSE_REASON, Reading } from '../../lib/connection/reading.ts'
import { TimerWheel } from '../../lib/timing/timer-wheel.ts'
import { FakeClock } from '../support/clock.ts'

function make() {
  const clock = new FakeClock(1_000)
  const wheel = new TimerWheel(clock, 50)
  let isRead = true
  const owner = {
    pauseReading() {
      isRead = false
    },
    resumeReading() {
      isRead = true
    }
  }
  return { clock, wheel, reading: new Reading(owner, wheel), isRead: () => isRead }
}

t.test('it is read again when the last one lets go', async (t) => {
  const { reading, isRead } = make()
  reading.pause(PAUSE_REASON.application)
  reading.pause(PAUSE_REASON.inbox)
  reading.pause(PAUSE_REASON.inbox)
  t.notOk(isRead())
  reading.resume(PAUSE_REASON.inbox)
  t.notOk(isRead())
  reading.resume(PAUSE_REASON.application)
  t.ok(isRead())
})

t.test('held for a time, once', async (t) => {
  const { clock, wheel, reading, isRead } = make()
  t.ok(reading.pauseFor(500))
  t.notOk(reading.pauseFor(5_000), 'it is paused already')
  clock.advance(400)
  t.notOk(isRead())
  clock.advance(150)
  t.ok(isRead())
  t.equal(wheel.size, 0)
  t.ok(reading.pauseFor(500), 'and may be again')
})

t.test('at its end nobody holds it, and no timer is left', async (t) => {
  const { clock, wheel, reading, isRead } = make()
  reading.pauseFor(500)
  reading.end()
  t.equal(wheel.size, 0)
  reading.pause(PAUSE_REASON.application)
  clock.advance(1_000)
  t.notOk(isRead())
  reading.resume(PAUSE_REASON.application)
  t.ok(isRead())
})
