import { test } from 'tap'
import { WINDOW } from '../../../../lib/dashboard/page/model/cluster.ts'
import { START, scene } from './scene.ts'

test('snapshots are kept in order, however they come, and once', async (t) => {
  const { cluster, take, goTo } = scene()
  t.equal(cluster.now(), 0)
  t.ok(take('1', 10), 'a new node')
  t.notOk(take('1', 12))
  t.notOk(take('1', 11))
  t.notOk(take('1', 11))
  t.ok(take('2', 9))
  t.same(
    cluster.find('1')?.snapshots.map(({ at }) => at - START),
    [10_005, 11_005, 12_005]
  )
  t.equal(cluster.find('1')?.latest.at, START + 12_005)
  t.same(
    cluster.nodes().map(({ name, colour }) => [name, colour]),
    [
      ['worker 1', 0],
      ['worker 2', 1]
    ]
  )
  t.equal(cluster.now(), START + 12_005)
  goTo(13_000)
  t.equal(cluster.now(), START + 13_000, 'and time goes on without them')
})

test('what is past is forgotten, and its colour is free again', async (t) => {
  const { cluster, take, goTo } = scene()
  take('1', 0)
  take('2', 0)
  take('2', 100)
  goTo((WINDOW + 60) * 1000)
  cluster.trim()
  t.same(
    cluster.nodes().map(({ id, snapshots }) => [id, snapshots.length]),
    [['2', 1]]
  )
  take('3', WINDOW + 60)
  t.equal(cluster.find('3')?.colour, 0)
  t.notOk(take('1', 1), 'what comes too late is none')
  t.equal(cluster.find('1'), undefined)
})

test('a node is up, drains, is gone, or out of sight while we are blind', async (t) => {
  const { cluster, take, goTo } = scene()
  const state = (id: string, view = {}) => cluster.stateOf(cluster.find(id) as never, { self: '1', ...view })
  take('1', 0)
  take('2', 0)
  take('3', 0, { draining: true })
  t.same(
    ['1', '2', '3'].map((id) => state(id)),
    ['up', 'up', 'draining']
  )
  take('3', 1, { draining: true, last: true })
  t.equal(state('3'), 'gone', 'as it has said')
  goTo(6_000)
  take('1', 6)
  t.equal(state('2'), 'gone', 'silent for more than five seconds')
  t.equal(state('2', { lostAt: START + 3_000 }), 'out-of-sight', 'the connection was lost when it was there')
  t.equal(state('2', { lostAt: START + 5_900 }), 'gone', 'it was gone before')
  take('1', 7, { brokerUp: false, broker: { kind: 'redis', since: START + 2_000 } })
  t.same(
    ['1', '2', '3'].map((id) => state(id)),
    ['up', 'out-of-sight', 'gone']
  )
})

test('how many connections a drain began with', async (t) => {
  const { cluster, take } = scene()
  take('1', 0)
  take('1', 1, { draining: true, connections: { '/a': 2 } })
  take('1', 2, { draining: true, connections: { '/a': 1 } })
  t.equal(cluster.find('1')?.atDrain, 3)
  take('2', 2, { draining: true, connections: { '/a': 5 } })
  t.equal(cluster.find('2')?.atDrain, 5, 'where it was not seen before')
})

test('nodes of one name are told apart by their processes', async (t) => {
  const { cluster, take } = scene()
  take('1', 0, { name: 'web', pid: 7 })
  take('2', 0, { name: 'api', pid: 7 })
  t.same(
    cluster.nodes().map(({ label }) => label),
    ['api', 'web']
  )
  take('3', 0, { name: 'web', pid: 8 })
  t.same(
    cluster.nodes().map(({ label }) => label),
    ['api', 'web · 7', 'web · 8']
  )
  t.equal(cluster.find(undefined), undefined)
})

test('a snapshot whose time was converted twice is one', async (t) => {
  const { cluster, take } = scene()
  take('1', 0, { at: START })
  take('1', 0, { at: START + 100 })
  take('1', 0, { at: START + 200, last: true })
  t.same(
    cluster.find('1')?.snapshots.map(({ at }) => at - START),
    [0, 200],
    'but the last of a node always counts'
  )
})
