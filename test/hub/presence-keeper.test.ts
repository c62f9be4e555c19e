import t from 'tap'
import { MemoryBroker } from '../../lib/broker/memory/memory-broker.ts'
import { PresenceKeeper } from '../../lib/hub/presence-keeper.ts'
import { Limiter } from '../../lib/timing/limiter.ts'
import { TimerWheel } from '../../lib/timing/timer-wheel.ts'
import { FakeClock } from '../support/clock.ts'
import { idle } from '../support/idle.ts'
import { pending } from '../support/pending.ts'

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
  const presence = new PresenceKeeper({
    broker,
    wheel: new TimerWheel(clock, 50),
    limiter: new Limiter(8),
    failed: (stage) => failures.push(stage)
  })
  const keep = (options: { ttl?: number; joinLeave?: boolean } = {}) =>
    presence.keep({
      channel: 'a',
      entry: { connection: 'c', user: 'u', info: Buffer.from('{}') },
      ttl: options.ttl,
      joinLeave: options.joinLeave ?? false,
      announcer: { announcing: (info) => broker.calls.push(`announcing ${info}`) }
    })
  return { clock, broker, failures, presence, keep }
}

t.test('comes, is refreshed thrice in its life, goes', async (t) => {
  const { clock, broker, presence, keep } = rig()
  const entry = keep({ ttl: 3_000, joinLeave: true })
  await entry.add()
  entry.announce()
  clock.advance(1_100)
  clock.advance(1_100)
  entry.remove()
  entry.remove()
  entry.announce()
  await presence.settled()
  clock.advance(5_000)
  t.same(
    broker.calls.filter((call) => !call.startsWith('announcing')),
    ['add', 'join', 'add', 'add', 'remove', 'leave']
  )
  t.equal(broker.calls.filter((call) => call === 'announcing {}').length, 2)
})

t.test('nothing to do where a channel wants neither', async (t) => {
  const { broker, presence, keep } = rig()
  const entry = keep()
  await entry.add()
  entry.announce()
  entry.remove()
  await presence.settled()
  t.same(broker.calls, [])
})

t.test('gone before the entry is there', async (t) => {
  const { clock, broker, presence, keep } = rig()
  const entry = keep({ ttl: 3_000, joinLeave: true })
  const added = entry.add()
  entry.remove()
  await added
  await presence.settled()
  clock.advance(5_000)
  t.same(broker.calls, ['add', 'remove'])
})

t.test('a broker that is away', async (t) => {
  const { broker, failures, presence, keep } = rig()
  broker.fail = true
  const entry = keep({ ttl: 3_000 })
  await t.rejects(entry.add(), { message: 'away' })
  entry.remove()
  await presence.settled()
  t.same(failures, ['presence'])
})

t.test('an entry that takes the place of another is not removed by what the other has yet to do', async (t) => {
  const { broker, presence, keep } = rig()
  const release = pending()
  const { removePresence } = broker
  broker.removePresence = async () => {
    await release.promise
    await removePresence.call(broker)
  }
  const former = keep({ ttl: 3_000, joinLeave: true })
  await former.add()
  former.announce()
  former.remove()
  const present = keep({ ttl: 3_000, joinLeave: true })
  const added = present.add()
  present.announce()
  await idle()
  const made = () => broker.calls.filter((call) => !call.startsWith('announcing'))
  t.same(made(), ['add', 'join'])
  release.resolve()
  await added
  await presence.settled()
  t.same(made(), ['add', 'join', 'remove', 'leave', 'add', 'join'])
})
