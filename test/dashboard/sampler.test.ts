import { test } from 'tap'
import { Sampler } from '../../lib/dashboard/sampler.ts'
import type { Insight } from '../../lib/node/insight.ts'
import { snapshotOf } from './snapshot.ts'

function rig() {
  const state = { now: 1_000, up: true, waiting: [] as { id: string; user?: string; buffered: number }[] }
  const figures = (visit: (connection: object, buffered: number) => void) => {
    for (const { id, user, buffered } of state.waiting) {
      visit({ id, user: user === undefined ? null : { sub: user }, settings: { route: '/r' } }, buffered)
    }
    const { node, name, pid, at, broker, busy, memory, slow, last, ...rest } = snapshotOf({ brokerUp: state.up })
    return rest
  }
  const insight = { kind: 'redis', node: { metrics: { figures } } } as unknown as Insight
  return { state, sampler: new Sampler(insight, 'web', () => state.now) }
}

test('a snapshot names its process, and no two are of one time', async (t) => {
  const { state, sampler } = rig()
  const first = sampler.sample()
  t.match(first, { node: sampler.node, name: 'web', pid: process.pid, at: 1_000, last: false, connections: {} })
  t.ok(first.memory > 1e6 && first.busy >= 0 && first.busy <= 1)
  t.equal(sampler.sample().at, 1_001)
  state.now = 2_000.4
  t.match(sampler.sample(true), { at: 2_000, last: true })
  t.not(sampler.node, rig().sampler.node)
})

test('since when the broker is away, or there', async (t) => {
  const { state, sampler } = rig()
  t.same(sampler.sample().broker, { kind: 'redis', since: 1_000 })
  Object.assign(state, { now: 5_000, up: false })
  t.equal(sampler.sample().broker.since, 5_000)
  state.now = 6_000
  t.equal(sampler.sample().broker.since, 5_000)
  Object.assign(state, { now: 7_000, up: true })
  t.equal(sampler.sample().broker.since, 7_000)
})

test('the five slowest readers', async (t) => {
  const { state, sampler } = rig()
  state.waiting = [0, 3, 1, 5, 2, 4, 6].map((buffered) => ({ id: `c${buffered}`, user: 'ada', buffered }))
  state.waiting.push({ id: 'x', buffered: 9 })
  const { slow } = sampler.sample()
  t.same(
    slow.map(({ id }) => id),
    ['x', 'c6', 'c5', 'c4', 'c3']
  )
  t.match(slow, [{ user: null, route: '/r', buffered: 9 }, { user: 'ada' }])
})

test('how busy the event loop was, over half a second at least', async (t) => {
  const { sampler } = rig()
  t.equal(sampler.sample().busy, 0)
  const end = performance.now() + 600
  while (performance.now() < end);
  // The loop measures at the end of a turn.
  await new Promise((resolve) => setImmediate(resolve))
  const { busy } = sampler.sample()
  t.ok(busy > 0.2, String(busy))
  t.equal(sampler.sample().busy, busy, 'the same, for a moment')
})
