import { test } from 'tap'
import { keyOf as keyOnNode, COLUMNS as PACKED, pageOf, parseQuery } from '../../../demo/dashboard/connection-table.ts'
import { load } from './modules.ts'

const { COLUMNS, unpack, keyOf, ranked } = await load('columns')
const { count, rate, bytes, latency, duration } = await load('format')

const stats = { messagesIn: 1, messagesOut: 2, bytesIn: 3, bytesOut: 4, dropped: 0, rejected: 0, queued: 0, age: 5 }
const connection = (id: string, user: string | undefined, roundTripTime?: number) =>
  ({
    id,
    user,
    route: '/r',
    transport: 'websocket',
    roundTripTime,
    bufferedAmount: 6,
    subscriptions: ['c'],
    stats
  }) as const
const all = [connection('c1', 'Bob', 2), connection('c2', undefined), connection('c3', 'ada', 1)]

test('page and nodes understand one another', async (t) => {
  for (const { id } of COLUMNS) {
    for (const descending of [false, true]) {
      const query = { order: id, descending, search: 'C' }
      const parsed = parseQuery(query)
      if (parsed === undefined) throw new Error(`the nodes have no order ${id}`)
      t.equal(keyOf(query), keyOnNode(parsed))
      const page = pageOf(all, 'worker 1', parsed)
      const rows = unpack(page, 'worker 1')
      t.same(
        ranked(rows, query).map((row) => row.id),
        page.rows.map(([first]) => first),
        `${id}: the same order`
      )
    }
  }
  const [row] = unpack(pageOf(all.slice(0, 1), 'worker 1', { order: 'age', descending: false, search: '' }), 'worker 1')
  t.match(row, { node: 'worker 1', id: 'c1', user: 'Bob', received: 1, sent: 2, bytes: 7, buffered: 6, roundTrip: 2 })
  t.same(Object.keys(row ?? {}), ['node', ...PACKED])
})

test('the rows of several nodes: the filter, and the order', async (t) => {
  const rows = ['worker 2', 'worker 10'].flatMap((node) =>
    unpack(pageOf(all, node, { order: 'age', descending: false, search: '' }), node)
  )
  const query = { order: 'user', descending: false, search: '' }
  t.same(
    ranked(rows, query).map(({ id }) => id),
    ['c2', 'c2', 'c1', 'c1', 'c3', 'c3']
  )
  t.equal(ranked(rows, { ...query, search: 'WORKER 2' }).length, 3)
  t.equal(ranked(rows, { ...query, search: 'bob' }).length, 2)
})

test('figures are short', async (t) => {
  t.same([0, 999, 12_345, 123_456, 7_654_321].map(count), ['0', '999', '12,345', '123K', '7.65M'])
  t.same([0, 0.44, 9.96, 12.4, 123_456].map(rate), ['0', '0.4', '10', '12', '123K'])
  t.same([0, 999, 1000, 1024, 150_000, 5e9].map(bytes), ['0 B', '999 B', '0.98 KB', '1 KB', '146 KB', '4.7 GB'])
  t.same([0, 0.00042, 0.0123, 0.5, 1, 12.34].map(latency), ['0 ms', '0.42 ms', '12.3 ms', '500 ms', '1 s', '12.3 s'])
  t.same([-5, 999, 61_000, 3_700_000, 90_000_000].map(duration), ['0 s', '0 s', '1 min', '1 h 1 min', '1 d 1 h'])
  for (const format of [count, rate, bytes, latency]) t.equal(format(null), '–')
})
