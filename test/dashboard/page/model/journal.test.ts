import { test } from 'tap'
import { entriesOf, entryOf } from '../../../../lib/dashboard/page/model/journal.ts'
import { snapshotOf } from '../../snapshot.ts'

const NOW = 1_700_000_000_000
const broker = (since: number) => ({ kind: 'redis', since }) as const

test('the past of a node: its start, its drain, and when Redis was away', async (t) => {
  const at = (ago: number, figures = {}) => snapshotOf({ name: 'web', at: NOW - ago, broker: broker(0), ...figures })
  const young = [
    at(60_000),
    at(50_000, { brokerUp: false, broker: broker(NOW - 51_000) }),
    at(40_000, { broker: broker(NOW - 41_000) }),
    at(30_000, { draining: true })
  ]
  t.same(entriesOf(young, NOW), [
    { at: NOW - 60_000, text: 'web started', tone: 'plain' },
    { at: NOW - 51_000, text: 'Redis is away for web', tone: 'bad' },
    { at: NOW - 41_000, text: 'Redis is back for web', tone: 'good' },
    { at: NOW - 30_000, text: 'web began to drain', tone: 'warn' }
  ])
  t.same(entriesOf([at(599_000), at(1_000)], NOW), [], 'an old process has no start in this time')
  t.same(entriesOf([], NOW), [])
})

test('a change of state is news, or not', async (t) => {
  const latest = snapshotOf({ connections: { '/a': 3 }, drained: { closed: 2, terminated: 0 } })
  const node = { id: 'n', label: 'web', name: 'web', pid: 1, colour: 0, snapshots: [], latest, atDrain: 0 }
  const text = (...[before, state]: [Parameters<typeof entryOf>[1], Parameters<typeof entryOf>[2]]) =>
    entryOf(node, before, state, NOW)?.text
  t.equal(text(undefined, 'up'), 'web is up')
  t.equal(text('gone', 'up'), 'web is there again')
  t.equal(text('out-of-sight', 'up'), undefined)
  t.equal(text('up', 'out-of-sight'), undefined)
  t.equal(text('up', 'draining'), 'web drains, 3 to go')
  t.equal(text('up', 'gone'), 'web is gone')
  t.equal(text(undefined, 'gone'), undefined)
  const last = { ...latest, last: true }
  t.match(entryOf({ ...node, latest: last }, 'draining', 'gone', NOW), {
    text: 'web has drained: 2 closed, 0 cut',
    tone: 'good'
  })
  const cut = { ...last, drained: { terminated: 1 } }
  t.match(entryOf({ ...node, latest: cut }, 'draining', 'gone', NOW), {
    text: 'web has drained: 0 closed, 1 cut',
    tone: 'bad'
  })
})
