import t from 'tap'
import type { Broker } from '../../lib/broker/broker.ts'
import type { Delivery } from '../../lib/http/http-sessions.ts'
import { Relay, type RelayOptions } from '../../lib/node/relay.ts'
import { writeCommands, writeDelivery } from '../../lib/node/relay-message.ts'
import { TimerWheel } from '../../lib/timing/timer-wheel.ts'
import { FakeClock } from '../support/clock.ts'

const letter = { data: Buffer.from('{}'), isBinary: false }

function make(options: Partial<RelayOptions> = {}) {
  const clock = new FakeClock(0)
  const wheel = new TimerWheel(clock, 50)
  const published: [string, Record<string, unknown>][] = []
  const failures: unknown[] = []
  const delivered: unknown[] = []
  let drops = 0
  let fails = false
  let result: Delivery = 'delivered'
  const broker = {
    publish: async (channel: string, data: Buffer) => {
      published.push([channel, JSON.parse(data.toString())])
      if (fails) throw new Error('away')
    }
  } as unknown as Broker
  const relay = new Relay({
    broker,
    wheel,
    node: 'n1',
    alone: false,
    hasNode: () => true,
    deliver: (session, { data, isBinary }) => {
      delivered.push([session, data.toString(), isBinary])
      return result
    },
    failed: (stage) => void failures.push(stage),
    dropped: () => void drops++,
    ...options
  })
  return {
    relay,
    clock,
    wheel,
    published,
    failures,
    delivered,
    drops: () => drops,
    fail: () => {
      fails = true
    },
    answer: (next: Delivery) => {
      result = next
    },
    receive: (data: Buffer) => relay.receive({ data, offset: 0, epoch: '' })
  }
}

t.test('a session of this node', async (t) => {
  const { relay, delivered, published } = make()
  t.equal(await relay.send('n1', 's', letter), 'delivered')
  t.same(delivered, [['s', '{}', false]])
  t.same(published, [])
})

t.test('another node answers', async (t) => {
  const { relay, published, receive, wheel } = make()
  const sent = relay.send('n2', 's', letter)
  const [channel, { id, ...message }] = published[0] as (typeof published)[0]
  t.equal(channel, '\u0000node n2')
  t.same(message, { relay: 1, from: 'n1', session: 's', text: '{}' })
  receive(writeDelivery(id as string, 'full'))
  receive(writeDelivery(id as string, 'unknown'))
  t.equal(await sent, 'full')
  t.equal(wheel.size, 0)
})

t.test('a node that does not answer is gone', async (t) => {
  const { relay, clock } = make()
  const sent = relay.send('n2', 's', letter)
  clock.advance(3_100)
  t.equal(await sent, 'unknown')
  t.equal(await relay.send('not a node', 's', letter), 'unknown')
  t.equal(await make({ alone: true }).relay.send('n2', 's', letter), 'unknown')
})

t.test('the broker is away', async (t) => {
  const { relay, failures, fail, receive, clock } = make()
  fail()
  t.equal(await relay.send('n2', 's', letter), 'unavailable')
  receive(writeCommands({ id: 'i', from: 'n2', session: 's', ...letter }))
  await Promise.resolve()
  t.same(failures, ['relay', 'relay'])
  clock.advance(10_000)
})

t.test('commands for a node that does not exist wait for no answer', async (t) => {
  let found: (has: boolean) => void = () => undefined
  let fails = false
  const { relay, published, failures, receive } = make({
    hasNode: () => (fails ? Promise.reject(new Error('away')) : new Promise((resolve) => (found = resolve)))
  })
  const stranger = relay.send('n3', 's', letter)
  found(false)
  t.equal(await stranger, 'unknown')
  t.same(published, [])
  const sent = relay.send('n2', 's', letter)
  found(true)
  await new Promise(setImmediate)
  receive(writeDelivery(published[0]?.[1].id as string, 'delivered'))
  t.equal(await sent, 'delivered')
  fails = true
  t.equal(await relay.send('n2', 's', letter), 'unavailable')
  t.same(failures, ['relay'])
  fails = false
  for (let at = 0; at < 1_000; at++) void relay.send('n4', 's', letter)
  t.equal(await relay.send('n5', 's', letter), 'busy')
})

t.test('too many wait', async (t) => {
  const { relay, clock } = make()
  const sent = Array.from({ length: 1_000 }, () => relay.send('n2', 's', letter))
  t.equal(await relay.send('n2', 's', letter), 'busy')
  clock.advance(3_100)
  t.same(new Set(await Promise.all(sent)), new Set(['unknown']))
  const large = { data: Buffer.alloc(16_777_216), isBinary: true }
  const one = relay.send('n2', 's', large)
  t.equal(await relay.send('n2', 's', letter), 'busy')
  clock.advance(3_100)
  await one
})

t.test('commands of another node are executed once', async (t) => {
  const { receive, delivered, published, drops } = make()
  const message = writeCommands({ id: 'i1', from: 'n2', session: 's', ...letter })
  receive(message)
  receive(message)
  t.same(delivered, [['s', '{}', false]])
  t.same(published, [['\u0000node n2', { relay: 1, id: 'i1', result: 'delivered' }]])
  receive(Buffer.from('{"relay":'))
  t.equal(drops(), 1)
  for (let at = 0; at < 10_001; at++) receive(writeCommands({ id: `x${at}`, from: 'n2', session: 's', ...letter }))
  t.equal(delivered.length, 10_002)
})
