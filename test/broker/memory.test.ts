import { mock } from 'node:test'
import t, { type Test } from 'tap'
import { MemoryBroker, type MemoryBrokerOptions } from '../../lib/broker/memory.ts'
import { brokerContract } from './contract.ts'
import { Recorder } from './recorder.ts'

const KEEP = { size: 10, ttl: 1000 }

async function open(t: Test, options: MemoryBrokerOptions = {}) {
  const clock = { time: 5, now: () => clock.time }
  const broker = new MemoryBroker({ clock, ...options })
  const heard = new Recorder()
  t.teardown(() => broker.close())
  await broker.start(heard)
  const pass = async (milliseconds: number) => {
    clock.time += milliseconds
  }
  const now = async () => clock.time
  return { broker, heard, pass, now }
}

t.test('the contract', (t) =>
  brokerContract(t, async (t) => {
    const bench = await open(t)
    return { bench, other: bench }
  })
)

t.test('has delivered when publish returns', async (t) => {
  const { broker, heard } = await open(t)
  await broker.subscribe('room')
  broker.publish('room', Buffer.from('1'))
  broker.publish('room', Buffer.from('2'), { history: KEEP })
  broker.publish('room', Buffer.from('3'), { idempotencyKey: 'k' })
  t.strictSame(heard.data('room'), ['1', '2', '3'])
})

t.test('runs on the machine’s clock and randomness unless told', async (t) => {
  const broker = new MemoryBroker()
  await broker.start(new Recorder())
  t.teardown(() => broker.close())
  const { epoch } = await broker.publish('room', Buffer.from('1'), { history: KEEP })
  t.equal(epoch.length, 12)
  t.equal((await broker.history('room', { limit: 1 })).publications.length, 1)
})

t.test('remembers so many idempotency keys and no more', async (t) => {
  const { broker } = await open(t, { maxIdempotencyKeys: 2 })
  const publish = (key: string) => broker.publish('room', Buffer.from('1'), { idempotencyKey: key })
  for (const key of ['a', 'b', 'c']) await publish(key)
  t.equal(broker.usage.idempotencyKeys, 2)
  t.match(await publish('c'), { duplicate: true })
  t.match(await publish('a'), { duplicate: false }, 'the oldest gave way')
})

t.test('what has expired is dropped', async (t) => {
  mock.timers.enable({ apis: ['setInterval'] })
  t.teardown(() => mock.timers.reset())
  const { broker, pass } = await open(t, { positionTtl: 10_000, sweepInterval: 500 })
  const nothing = { subscriptions: 0, histories: 0, idempotencyKeys: 0, presences: 0, leases: 0, buckets: 0 }
  const entry = { connection: 'c', user: 'u', info: Buffer.from('{}') }

  await broker.publish('nobody listens', Buffer.from('1'))
  t.strictSame(broker.usage, nothing, 'a publication without history leaves nothing')

  await broker.subscribe('held')
  await broker.publish('held', Buffer.from('1'), { history: KEEP })
  await broker.publish('room', Buffer.from('1'), { history: KEEP, idempotencyKey: 'k', idempotencyTtl: 1000 })
  await broker.addPresence('room', entry, 1000)
  await broker.addPresence('room', { ...entry, connection: 'd' }, 3000)
  await broker.acquireLease('u', 'a', 1, 1000)
  await broker.takeTokens('u', 5, { rate: 5, burst: 5 })
  await broker.addPresence('left', entry, 1000)
  await broker.removePresence('left', 'c')
  const all = { subscriptions: 1, histories: 2, idempotencyKeys: 1, presences: 1, leases: 1, buckets: 1 }
  t.strictSame(broker.usage, all)

  mock.timers.tick(500)
  t.strictSame(broker.usage, all, 'not before its time')
  await pass(1000)
  mock.timers.tick(500)
  t.strictSame(broker.usage, { ...nothing, subscriptions: 1, histories: 2, presences: 1 })
  await pass(9000)
  mock.timers.tick(500)
  t.strictSame(broker.usage, { ...nothing, subscriptions: 1, histories: 1 }, 'a subscribed channel keeps its position')
  await broker.unsubscribe('held')
  mock.timers.tick(500)
  t.strictSame(broker.usage, nothing)
})

t.test('a sweep visits a bounded number of channels and goes on where it stopped', async (t) => {
  mock.timers.enable({ apis: ['setInterval'] })
  t.teardown(() => mock.timers.reset())
  const { broker, pass } = await open(t, { positionTtl: 1000, sweepInterval: 500 })
  for (let n = 0; n < 1500; n++) {
    broker.publish(`room ${n}`, Buffer.from('1'), { history: KEEP, idempotencyKey: 'k', idempotencyTtl: 1000 })
  }
  await pass(1000)
  mock.timers.tick(500)
  t.match(broker.usage, { histories: 500, idempotencyKeys: 500 })
  mock.timers.tick(500)
  t.match(broker.usage, { histories: 0, idempotencyKeys: 0 })
})
