import t from 'tap'
import { Intake } from '../../lib/connection/intake.ts'
import { PAUSE_REASON } from '../../lib/connection/reading.ts'
import { DEFAULTS, type LimitOptions } from '../../lib/options/options.ts'
import { TimerWheel } from '../../lib/timing/timer-wheel.ts'
import { FakeClock } from '../support/clock.ts'

function make(limits: LimitOptions = {}) {
  const clock = new FakeClock(10_000)
  const wheel = new TimerWheel(clock, 50)
  const events: unknown[] = []
  const owner = {
    user: { sub: 'ada' },
    overRate: () => void events.push('over'),
    notifyDropped: (dropped: number, retryAfter: number) => void events.push([dropped, retryAfter]),
    flooded: () => void events.push('flooded'),
    pauseReading: () => void events.push('pause'),
    resumeReading: () => void events.push('resume')
  }
  const settings = { limits: { ...DEFAULTS.limits, ...limits } as never, heartbeat: DEFAULTS.heartbeat }
  const intake = new Intake(settings, { wheel, userRate: () => 0 }, owner)
  return { clock, wheel, intake, events }
}

t.test('a message past the rate is dropped, and its client told', async (t) => {
  const { intake, events } = make({ messages: { rate: 10, burst: 1 } })
  t.same([intake.takeMessage(1), intake.takeMessage(1)], [true, false])
  t.same(events, ['over', [1, 100]])
})

t.test('a command past the rate is refused without another word', async (t) => {
  const { intake, events } = make({ bytes: { rate: 10, burst: 1 } })
  t.same([intake.takeCommand(5), intake.takeCommand(1)], [true, false])
  t.same(events, ['over'])
})

t.test('too much of it is a flood, of whatever it is', async (t) => {
  for (const send of ['takeMessage', 'takeCommand', 'takeControl'] as const) {
    const { intake, events } = make({ messages: { rate: 0.001, burst: 200 } })
    let sent = 0
    while (!events.includes('flooded')) {
      intake[send](1)
      sent++
    }
    t.equal(sent, 2_200, send)
  }
})

t.test('a message of another protocol is taken, and the next one waits', async (t) => {
  const { clock, intake, events } = make({ messages: { rate: 10, burst: 1 } })
  for (let n = 0; n < 3; n++) intake.throttle(1)
  t.same(events, ['pause', 'over'])
  clock.advance(150)
  t.same(events, ['pause', 'over', 'resume'])
})

t.test('its debt is no longer than one interval of the heartbeat', async (t) => {
  const { clock, intake, events } = make({ messages: { rate: 0.01, burst: 1 } })
  for (let n = 0; n < 1_000; n++) intake.throttle(1)
  clock.advance(25_050)
  t.equal(events.at(-1), 'resume')
})

t.test('what the client has caused is its debt', async (t) => {
  const { clock, intake } = make({ bytes: { rate: 1_000, burst: 100 } })
  t.notOk(intake.indebted)
  intake.spend(200)
  t.ok(intake.indebted)
  t.notOk(intake.takeCommand(0))
  clock.advance(100)
  t.notOk(intake.indebted)
})

t.test('who holds the reading lets go of it, or all do', async (t) => {
  const { wheel, intake, events } = make({ messages: { rate: 10, burst: 1 } })
  intake.resume(PAUSE_REASON.application)
  t.same(events, [], 'nobody has held it')
  intake.pause(PAUSE_REASON.application)
  intake.resume(PAUSE_REASON.application)
  t.same(events, ['pause', 'resume'])
  for (let n = 0; n < 3; n++) intake.throttle(1)
  intake.endReading()
  t.equal(wheel.size, 0)
})

t.test('a gone connection leaves no timer', async (t) => {
  const { wheel, intake } = make({ messages: { rate: 10, burst: 1 } })
  intake.end()
  for (let n = 0; n < 20; n++) intake.takeMessage(1)
  for (let n = 0; n < 3; n++) intake.throttle(1)
  t.equal(wheel.size, 2)
  intake.end()
  t.equal(wheel.size, 0)
})
