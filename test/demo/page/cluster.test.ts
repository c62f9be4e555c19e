import { test } from 'tap'
import { load, type Snapshot } from './modules.ts'

const { Cluster, WINDOW } = await load('cluster')
const { frameOf, level, rate, total, percentiles, tally } = await load('timeline')

const START = 1_700_000_000_000

/** A clock that is set by hand, and snapshots as a node makes them. */
function scene() {
  const clock = { time: 0, now: () => clock.time }
  const cluster = new Cluster(clock)
  const snapshot = (node: string, second: number, figures: object = {}): Snapshot => ({
    node,
    name: `worker ${node}`,
    pid: 1,
    at: START + second * 1000 + 5,
    connections: { '/a': 2, '/b': 1 },
    broker: { kind: 'redis', since: START },
    brokerUp: true,
    draining: false,
    last: false,
    ...figures
  })
  const take = (...given: Parameters<typeof snapshot>) => cluster.take(snapshot(...given))
  const frame = () => frameOf(cluster.nodes(), cluster.now())
  /** Milliseconds since START by the nodes' clocks; only after the first snapshot. */
  const goTo = (milliseconds: number) => {
    clock.time += START + milliseconds - cluster.now()
  }
  return { clock, cluster, take, frame, goTo }
}

const sent = (figures: Snapshot) => figures.sent as number
const tail = <T>(values: readonly T[], count: number) => values.slice(-count)

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

test('lines: a figure holds for three seconds, and a little before its first', async (t) => {
  const { take, frame, goTo } = scene()
  for (const second of [0, 1, 3]) take('1', second, { sent: second * 10 })
  goTo(8_500)
  const { seconds, tracks } = frame()
  t.equal(seconds.length, WINDOW)
  t.equal(seconds.at(-1), START / 1000 + 8)
  const [track] = tracks
  if (track === undefined) throw new Error('no track')
  t.same(tail(level(track, sent), 13), [null, 0, 0, 0, 0, 10, 10, 30, 30, 30, null, null, null])
})

test('lines: the last of a node that has gone ends it at once', async (t) => {
  const { take, frame, goTo } = scene()
  take('1', 0, { sent: 0 })
  take('1', 1, { sent: 0, last: true })
  goTo(3_500)
  t.same(tail(level(frame().tracks[0] as never, sent), 4), [0, 0, null, null])
})

test('rates are over some seconds, from the first snapshot on, and never across a gap', async (t) => {
  const { take, frame, goTo } = scene()
  const counts = [0, 10, 20, 30, 70]
  for (const [second, count] of counts.entries()) take('1', second, { sent: count })
  for (const second of [60, 61]) take('1', second, { sent: 1000 + second })
  goTo(61_500)
  const line = rate(frame().tracks[0] as never, sent)
  t.same(tail(line, 62).slice(0, 5), [10, 10, 10, 10, 17.5])
  t.same(tail(line, 3), [1, 1, 1], 'not what came between')
  t.same(tail(line, 30).slice(0, 10), Array(10).fill(null))
})

test('sums: where none has a value, a gap', async (t) => {
  t.same(
    total([
      [1, null, null],
      [2, 3, null]
    ]),
    [3, 3, null]
  )
  t.same(total([]), [])
})

test('percentiles are over all nodes, and over the seconds before', async (t) => {
  const { take, frame, goTo } = scene()
  const bounds = [0.01, 0.1]
  const lag = (...counts: number[]) => ({ lag: { bounds, counts } })
  take('1', 0, lag(100, 100, 100))
  take('1', 1, lag(110, 110, 110))
  take('1', 5, lag(110, 110, 110))
  take('2', 0, lag(0, 0, 0))
  take('2', 1, lag(0, 10, 10))
  take('2', 5, lag(0, 10, 10))
  goTo(5_500)
  const read = (figures: Snapshot) => figures.lag as never
  const [half, all] = percentiles(frame(), read, { shares: [0.5, 1], width: 3 })
  t.same([half?.at(-5), all?.at(-5)], [0.01, 0.1], 'ten at most 10 ms, ten at most 100 ms; none of the hundred before')
  t.equal(half?.at(-1), null, 'and nothing in the last seconds')
})

test('tallies: in the window and in all, the most frequent first', async (t) => {
  const { take, frame, goTo } = scene()
  take('1', 0, { closes: { 1000: 5, 1006: 1 } })
  take('1', 1, { closes: { 1000: 6, 1006: 4 } })
  take('2', 1, { closes: { 1012: 7 } })
  goTo(1_500)
  t.same(
    tally(frame(), (figures) => figures.closes as never),
    [
      { name: '1006', recent: 3, all: 4 },
      { name: '1000', recent: 1, all: 6 },
      { name: '1012', recent: 0, all: 7 }
    ]
  )
})
