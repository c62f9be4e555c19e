import { mock } from 'node:test'
import t, { type Test } from 'tap'
import { MemoryBroker, type MemoryBrokerOptions } from '../../../lib/broker/memory/memory-broker.ts'
import { brokerContract } from '../contract.ts'
import { Recorder } from '../recorder.ts'

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

t.test('case 143: 100,000 keyed publishes between the two of one key', async (t) => {
  const { broker } = await open(t)
  const publish = (key: string, data = '1') => broker.publish('room', Buffer.from(data), { idempotencyKey: key })
  await publish('mine')
  for (let n = 0; n < 100_000; n++) await publish(`k${n}`)
  t.match(await publish('mine'), { duplicate: true })
})

t.test('where keys alone take all the memory, a new one is refused and none is forgotten', async (t) => {
  const { broker, pass } = await open(t, { maxBytes: 10_000 })
  const options = { history: KEEP, idempotencyTtl: 1_000 }
  const publish = (idempotencyKey: string) => broker.publish('room', Buffer.from('1'), { ...options, idempotencyKey })
  let taken = 0
  const full = async () => {
    for (;;) await publish(`k${taken++}`)
  }
  await t.rejects(full(), { code: 'FST_RT_UNAVAILABLE' })
  t.ok(taken > 10)
  t.match(await publish('k0'), { duplicate: true })
  t.equal((await broker.history('room', { limit: 9 })).publications.length, 0, 'histories have given way before')
  t.match(
    await broker.publish('room', Buffer.from('2'), { history: KEEP }),
    { offset: Number },
    'without a key: as ever'
  )
  await pass(1_000)
  t.match(await publish('another'), { duplicate: false })
})

t.test('past the total, whoever asks for what is gone is told', async (t) => {
  const { broker } = await open(t, { maxBytes: 100_000 })
  const history = { size: 100, ttl: 60_000 }
  for (let n = 0; n < 20; n++) {
    for (const channel of ['a', 'b']) await broker.publish(channel, Buffer.alloc(10_000, '1'), { history })
  }
  const page = async (channel: string) => broker.history(channel, { limit: 100, since: { offset: 0, epoch: '' } })
  const pages = [await page('a'), await page('b')]
  for (const { publications, position } of pages) {
    t.equal(position.offset, 20)
    t.not(publications[0]?.offset, 1, 'a gap, by its offset')
  }
  const kept = pages.flatMap(({ publications }) => publications).length
  t.ok(kept > 5 && kept < 10, `${kept} of 40`)
})

t.test('names that are only asked about take no more memory than the total', async (t) => {
  const { broker } = await open(t, { maxBytes: 10_000 })
  for (let n = 0; n < 1_000; n++) await broker.history(`room ${n}`, { limit: 0 })
  t.ok(broker.usage.histories < 30)
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
