import t from 'tap'
import { MemoryBroker } from '../../lib/broker/memory/memory-broker.ts'
import { Presence } from '../../lib/hub/attendance.ts'
import { Limiter } from '../../lib/timing/limiter.ts'
import { TimerWheel } from '../../lib/timing/timer-wheel.ts'
import { FakeClock } from '../support/clock.ts'

class Scribe extends MemoryBroker {
  readonly calls: string[] = []
  fail = false
  #say(call: string): Promise<void> {
    this.calls.push(call)
    return this.fail ? Promise.reject(new Error('away')) : Promise.resolve()
  }
  override addPresence(): Promise<void> {
    return this.#say('add')
  }
  override removePresence(): Promise<void> {
    return this.#say('remove')
  }
  override publishPresence(_channel: string, kind: string): Promise<void> {
    return this.#say(kind)
  }
}

function rig() {
  const clock = new FakeClock(1_000)
  const broker = new Scribe()
  const failures: string[] = []
  const presence = new Presence({
    broker,
    wheel: new TimerWheel(clock, 50),
    limiter: new Limiter(8),
    failed: (stage) => failures.push(stage)
  })
  const attend = (options: { ttl?: number; joinLeave?: boolean } = {}) =>
    presence.attendance({
      channel: 'a',
      entry: { connection: 'c', user: 'u', info: Buffer.from('{}') },
      ttl: options.ttl,
      joinLeave: options.joinLeave ?? false,
      told: () => broker.calls.push('told')
    })
  return { clock, broker, failures, presence, attend }
}

t.test('comes, is refreshed thrice in its life, goes', async (t) => {
  const { clock, broker, presence, attend } = rig()
  const attendance = attend({ ttl: 3_000, joinLeave: true })
  await attendance.enter()
  attendance.join()
  clock.advance(1_100)
  clock.advance(1_100)
  attendance.leave()
  attendance.leave()
  attendance.join()
  await presence.settled()
  clock.advance(5_000)
  t.same(
    broker.calls.filter((call) => call !== 'told'),
    ['add', 'join', 'add', 'add', 'remove', 'leave']
  )
  t.equal(broker.calls.filter((call) => call === 'told').length, 2)
})

t.test('nothing to do where a channel wants neither', async (t) => {
  const { broker, presence, attend } = rig()
  const attendance = attend()
  await attendance.enter()
  attendance.join()
  attendance.leave()
  await presence.settled()
  t.same(broker.calls, [])
})

t.test('gone before the entry is there', async (t) => {
  const { clock, broker, presence, attend } = rig()
  const attendance = attend({ ttl: 3_000, joinLeave: true })
  const entered = attendance.enter()
  attendance.leave()
  await entered
  await presence.settled()
  clock.advance(5_000)
  t.same(broker.calls, ['add', 'remove'])
})

t.test('a broker that is away', async (t) => {
  const { broker, failures, presence, attend } = rig()
  broker.fail = true
  const attendance = attend({ ttl: 3_000 })
  await t.rejects(attendance.enter(), { message: 'away' })
  attendance.leave()
  await presence.settled()
  t.same(failures, ['presence'])
})
