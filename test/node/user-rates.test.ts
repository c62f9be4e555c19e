import t from 'tap'
import { MemoryBroker } from '../../lib/broker/memory/memory-broker.ts'
import { UserRates } from '../../lib/node/user-rates.ts'
import { TimerWheel } from '../../lib/timing/timer-wheel.ts'
import { FakeClock } from '../hub/rig.ts'
import { idle } from '../support/idle.ts'

async function makeNodes(t: { teardown(fn: () => unknown): void }) {
  const clock = new FakeClock()
  const broker = new MemoryBroker({ clock })
  await broker.start({ publication() {}, presence() {}, dropped() {}, state() {}, audit() {} })
  t.teardown(() => broker.close())
  const failures: string[] = []
  const node = () =>
    new UserRates({ broker, wheel: new TimerWheel(clock, 50), failed: (stage) => failures.push(stage) })
  return { clock, broker, failures, node }
}

t.test('C76: a user may send so much over all nodes', async (t) => {
  const { clock, node } = await makeNodes(t)
  const nodes = [node(), node()]
  const rate = { rate: 10, burst: 20 }
  let granted = 0
  for (let i = 0; i < 100; i++) {
    for (const one of nodes) if (one.take('u', rate) === 0) granted++
    await idle()
  }
  t.equal(granted, 20)
  const wait = nodes[0]?.take('u', rate) ?? 0
  t.ok(wait > 0 && wait <= 1000, `to be tried again after ${wait} ms`)
  t.equal(nodes[0]?.take('another', rate), 0)
  clock.advance(1000)
  granted = 0
  for (let i = 0; i < 100; i++) {
    for (const one of nodes) if (one.take('u', rate) === 0) granted++
    await idle()
  }
  t.equal(granted, 10)
})

t.test('a burst may come in one turn, before the broker has answered', async (t) => {
  const { node } = await makeNodes(t)
  const rates = node()
  const rate = { rate: 10, burst: 100 }
  const take = () => Array.from({ length: 120 }, () => rates.take('u', rate)).filter((wait) => wait === 0).length
  t.equal(take(), 100)
  let more = 0
  for (let i = 0; i < 20; i++) {
    await idle()
    more += take()
  }
  t.equal(more, 0, 'all of it was owed to the bucket of all nodes')
})

t.test('the broker is asked seldom', async (t) => {
  const { broker, node } = await makeNodes(t)
  let asked = 0
  const { takeTokens } = broker
  broker.takeTokens = (...args) => {
    asked++
    return takeTokens.apply(broker, args)
  }
  const rates = node()
  for (let i = 0; i < 500; i++) {
    t.equal(rates.take('u', { rate: 1000, burst: 1000 }), 0)
    await idle()
  }
  t.ok(asked <= 12, `${asked} times for 500 messages`)
})

t.test('while the broker is away a node keeps a bucket of its own, and comes back', async (t) => {
  const { clock, broker, failures, node } = await makeNodes(t)
  const { takeTokens } = broker
  broker.takeTokens = () => Promise.reject(new Error('away'))
  const rates = node()
  const rate = { rate: 1, burst: 5 }
  const waits: number[] = []
  for (let i = 0; i < 10; i++) {
    waits.push(rates.take('u', rate))
    await idle()
  }
  t.equal(waits.filter((wait) => wait === 0).length, 6, 'a credit of one, and a burst of five')
  t.strictSame(failures, ['user rate'])
  broker.takeTokens = takeTokens
  clock.advance(1100)
  rates.take('u', rate)
  await idle()
  t.equal(rates.take('u', rate), 0)
})

t.test('who sends nothing is forgotten', async (t) => {
  const { clock, node } = await makeNodes(t)
  const rates = node()
  rates.take('u', { rate: 1, burst: 5 })
  t.equal(rates.size, 1)
  clock.advance(30_000)
  rates.take('u', { rate: 1, burst: 5 })
  clock.advance(31_000)
  t.equal(rates.size, 1)
  for (let i = 0; i < 3; i++) clock.advance(30_000)
  t.equal(rates.size, 0)
})

const RATE = { rate: 100, burst: 200 }

/** How many of so many messages are taken that come at once. */
const atOnce = (rates: UserRates, count: number, rate = RATE) =>
  Array.from({ length: count }, () => rates.take('u', rate)).filter((wait) => wait === 0).length

t.test('case 144: a whole burst after a silence, and no more', async (t) => {
  const { clock, node } = await makeNodes(t)
  const rates = node()
  t.equal(atOnce(rates, 250), 200)
  for (let rest = 0; rest < 3; rest++) {
    await idle()
    clock.advance(3_000)
    t.equal(atOnce(rates, 250), 200)
  }
  await idle()
  clock.advance(1_000)
  t.equal(atOnce(rates, 250), 100, 'half of it after half the time')
})

t.test('case 144: a whole burst after a silence, spread over two nodes', async (t) => {
  const { clock, node } = await makeNodes(t)
  const nodes = [node(), node()]
  for (let rest = 0; rest < 3; rest++) {
    clock.advance(3_000)
    for (const rates of nodes) t.equal(atOnce(rates, 100), 100)
    await idle()
  }
})

t.test('case 144: what a user sends to many nodes at once is held back afterwards', async (t) => {
  const { clock, node } = await makeNodes(t)
  const nodes = [node(), node()]
  let taken = 0
  for (let second = 0; second <= 60; second++) {
    for (const rates of nodes) taken += atOnce(rates, 250)
    await idle()
    clock.advance(1_000)
  }
  t.ok(taken >= 0.9 * 60 * 100 && taken <= 2 * 200 + 60 * 100, `${taken} in 60 s`)
})

t.test('case 144: who waits as long as told is taken', async (t) => {
  const { clock, node } = await makeNodes(t)
  const rates = node()
  t.equal(atOnce(rates, 200), 200)
  for (let n = 0; n < 20; n++) {
    await idle()
    const wait = rates.take('u', RATE)
    t.ok(wait > 0 && wait <= 10, `${wait} ms`)
    await idle()
    clock.advance(wait)
    t.equal(rates.take('u', RATE), 0)
  }
})

t.test('case 144: each rate has a bucket of its own, equal rates share one', async (t) => {
  const { node } = await makeNodes(t)
  const rates = node()
  t.equal(atOnce(rates, 20, { rate: 1, burst: 10 }), 10)
  t.equal(atOnce(rates, 100, { rate: 1, burst: 50 }), 50)
  t.equal(atOnce(rates, 20, { rate: 1, burst: 10 }), 0)
  t.equal(rates.size, 2)
  await idle()
  t.equal(atOnce(node(), 60, { rate: 1, burst: 50 }), 50, 'another node learns of it from the broker')
})

t.test('case 144: a slow rate is remembered until its bucket is full', async (t) => {
  const { clock, node } = await makeNodes(t)
  const rates = node()
  const slow = { rate: 0.01, burst: 2 }
  t.equal(atOnce(rates, 5, slow), 2)
  await idle()
  clock.advance(99_000)
  t.equal(atOnce(rates, 5, slow), 0)
  clock.advance(2_000)
  t.equal(atOnce(rates, 5, slow), 1)
})
