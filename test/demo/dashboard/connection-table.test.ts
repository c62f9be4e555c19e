import type { ConnectionInfo } from 'fastify-realtime'
import { test } from 'tap'
import {
  COLUMNS,
  keyOf,
  MAX_ROWS,
  pageOf,
  parseQuery,
  type TableQuery
} from '../../../demo/dashboard/connection-table.ts'

interface Given extends Partial<Omit<ConnectionInfo, 'stats'>> {
  stats?: Partial<ConnectionInfo['stats']>
}

function connection(id: string, { stats, ...given }: Given = {}): ConnectionInfo {
  return {
    id,
    user: 'ada',
    route: '/ws/json',
    transport: 'websocket',
    roundTripTime: undefined,
    bufferedAmount: 0,
    subscriptions: [],
    ...given,
    stats: {
      messagesIn: 0,
      messagesOut: 0,
      bytesIn: 0,
      bytesOut: 0,
      dropped: 0,
      rejected: 0,
      queued: 0,
      age: 1000,
      ...stats
    }
  }
}

const by = (order: TableQuery['order'], descending = false, search = ''): TableQuery => ({ order, descending, search })
const ids = (page: { rows: readonly (readonly unknown[])[] }) => page.rows.map(([id]) => id)

test('a query is an order, a direction and a search, and nothing else', async (t) => {
  t.same(parseQuery({ order: 'age', descending: false, search: 'Ada', more: 1 }), by('age', false, 'ada'))
  const wrong = [
    undefined,
    null,
    'age',
    {},
    { order: 'toString', descending: false, search: '' },
    { order: 'age', descending: 'yes', search: '' },
    { order: 'age', descending: true, search: 5 },
    { order: 'age', descending: true, search: 'x'.repeat(65) }
  ]
  for (const value of wrong) t.equal(parseQuery(value), undefined, JSON.stringify(value))
  t.not(keyOf(by('age')), keyOf(by('age', true)))
  t.not(keyOf(by('age')), keyOf(by('age', false, 'x')))
})

test('a row has what stands in the columns', async (t) => {
  const page = pageOf(
    [
      connection('c1', {
        user: undefined,
        roundTripTime: 1.2345,
        bufferedAmount: 7,
        subscriptions: ['a', 'b', 'c', 'd'.repeat(100)],
        stats: { messagesIn: 1, messagesOut: 2, bytesIn: 30, bytesOut: 40, age: 1234.5 }
      }),
      connection('c2', { subscriptions: ['d'.repeat(100)] })
    ],
    'server',
    by('received', true)
  )
  t.same(page.rows[0], ['c1', null, '/ws/json', 1235, 1, 2, 70, 7, 1.2, 4, ['a', 'b', 'c']])
  t.equal(page.rows[0]?.length, COLUMNS.length)
  t.same(page.rows[1]?.at(-1), [`${'d'.repeat(60)}…`])
  t.match(page, { total: 2, found: 2, query: '-received:' })
})

test('by any column, either way, the youngest first among equals', async (t) => {
  const all = [
    connection('old', { user: 'ada', route: '/b', roundTripTime: 9, stats: { age: 300, messagesOut: 5, bytesIn: 10 } }),
    connection('mid', {
      user: 'bob',
      route: '/a',
      bufferedAmount: 4,
      stats: { age: 200, messagesOut: 5, bytesOut: 11 }
    }),
    connection('new', { user: undefined, route: '/b', subscriptions: ['x'], stats: { age: 100, messagesIn: 2 } })
  ]
  const order = (query: TableQuery) => ids(pageOf(all, 'server', query)).join(' ')
  t.equal(order(by('age')), 'new mid old')
  t.equal(order(by('age', true)), 'old mid new')
  t.equal(order(by('user')), 'new old mid')
  t.equal(order(by('user', true)), 'mid old new')
  t.equal(order(by('route')), 'mid new old')
  t.equal(order(by('received', true)), 'new mid old')
  t.equal(order(by('sent', true)), 'mid old new')
  t.equal(order(by('bytes', true)), 'mid old new')
  t.equal(order(by('buffered', true)), 'mid new old')
  t.equal(order(by('roundTrip', true)), 'old new mid')
  t.equal(order(by('subscriptions', true)), 'new mid old')
  t.equal(order(by('node')), 'new mid old')
})

test('a search finds users, routes, nodes, ids and channels', async (t) => {
  const all = [
    connection('c1', { user: 'Ada' }),
    connection('c2', { user: 'bob', route: '/ws/boards/:board' }),
    connection('c3', { user: 'eve', subscriptions: ['a', 'b', 'c', 'rooms/Tea'] })
  ]
  const found = (search: string) => ids(pageOf(all, 'worker 1', parseQuery({ ...by('age'), search }) as TableQuery))
  t.same(found('ADA'), ['c1'])
  t.same(found('boards'), ['c2'])
  t.same(found('tea'), ['c3'])
  t.same(found('c3'), ['c3'])
  t.equal(found('worker 1').length, 3)
  t.same(found('nobody'), [])
  t.match(pageOf(all, 'worker 1', by('age', false, 'eve')), { total: 3, found: 1 })
})

test('however many there are, a page is bounded, and holds the first of them', async (t) => {
  const all = Array.from({ length: 1_000 }, (_, at) =>
    connection(`c${at}`, {
      user: 'u'.repeat(64),
      subscriptions: Array.from({ length: 128 }, (_, channel) => `${channel}`.padStart(255, 'x')),
      stats: { bytesIn: (at * 7919) % 1_000 }
    })
  )
  const page = pageOf(all, 'server', by('bytes', true))
  t.equal(page.rows.length, MAX_ROWS)
  t.same(
    page.rows.map((row) => row[6]),
    Array.from({ length: MAX_ROWS }, (_, at) => 999 - at)
  )
  t.match(page, { total: 1_000, found: 1_000 })
  t.ok(JSON.stringify(page).length < 50_000, `${JSON.stringify(page).length} bytes`)
})
