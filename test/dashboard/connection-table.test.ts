import { test } from 'tap'
import { connectionTable } from '../../lib/dashboard/connection-table.ts'
import type { Query } from '../../lib/dashboard/query.ts'
import { unpackConnection } from '../../lib/dashboard/rows.ts'
import { nodeWith } from './tables.ts'

const by = (order: string, descending = false, search = '', detail?: string): Query => ({
  view: 'connections',
  order,
  descending,
  search,
  ...(detail && { detail })
})

const stats = { messagesIn: 1, messagesOut: 2, bytesIn: 3, bytesOut: 4 }
const node = nodeWith([
  { id: 'c1', user: 'bob', route: '/b', stats: { ...stats, age: 30 }, channels: ['rooms/Tea'], bufferedAmount: 9 },
  { id: 'c2', user: 'ada', route: '/c', stats: { age: 20, messagesIn: 5 }, roundTripTime: 0.26 },
  { id: 'c3', route: '/a', stats: { age: 10, messagesOut: 7, bytesIn: 8 }, channels: ['a', 'b', 'c', 'd'.repeat(70)] }
])
const ids = async (query: Query) =>
  (await connectionTable(node, 'web 1', query)).rows.map((row) => unpackConnection(row).id)

test('each order, in both directions', async (t) => {
  const orders = {
    node: ['c3', 'c2', 'c1'],
    user: ['c3', 'c2', 'c1'],
    route: ['c3', 'c1', 'c2'],
    age: ['c3', 'c2', 'c1'],
    received: ['c3', 'c1', 'c2'],
    sent: ['c2', 'c1', 'c3'],
    bytes: ['c2', 'c1', 'c3'],
    buffered: ['c3', 'c2', 'c1'],
    roundTrip: ['c3', 'c1', 'c2'],
    subscriptions: ['c2', 'c1', 'c3']
  }
  for (const [order, expected] of Object.entries(orders)) t.same(await ids(by(order)), expected, order)
  t.same(await ids(by('route', true)), ['c2', 'c1', 'c3'])
  t.same(await ids(by('node', true)), ['c3', 'c2', 'c1'], 'the youngest first if all else is equal')
})

test('rows have figures that a person can read', async (t) => {
  const { rows, total, found } = await connectionTable(node, 'web 1', by('user'))
  t.same([total, found], [3, 3])
  const [anonymous, ada, bob] = rows.map(unpackConnection)
  t.match(anonymous, { user: null, subscriptions: 4, channels: ['a', 'b', 'c'] })
  t.match(ada, { roundTrip: 0.3, subscriptions: 0, channels: [] })
  t.match(bob, { received: 1, sent: 2, bytes: 7, buffered: 9, roundTrip: null, age: 30 })
  const [long] = (await connectionTable(nodeWith([{ id: 'x', channels: ['d'.repeat(70)] }]), '', by('age'))).rows
  t.same(unpackConnection(long as []).channels, [`${'d'.repeat(60)}…`])
})

test('a search finds the name of the node, user, route, id and channels', async (t) => {
  t.same(await ids(by('age', false, 'web')), ['c3', 'c2', 'c1'])
  t.same(await ids(by('age', false, 'ada')), ['c2'])
  t.same(await ids(by('age', false, '/a')), ['c3'])
  t.same(await ids(by('age', false, 'c1')), ['c1'])
  t.same(await ids(by('age', false, 'rooms/tea')), ['c1'])
  t.same(await ids(by('age', false, 'nobody')), [])
})

test('all subscriptions of one connection, up to a bound', async (t) => {
  const { detail } = await connectionTable(node, '', by('age', false, 'nobody', 'c3'))
  t.same(detail, { id: 'c3', channels: ['a', 'b', 'c', 'd'.repeat(70)] })
  t.notOk('detail' in (await connectionTable(node, '', by('age', false, '', 'c9'))))
  const many = nodeWith([{ id: 'x', channels: Array.from({ length: 1_001 }, (_, at) => String(at)) }])
  t.equal((await connectionTable(many, '', by('age', false, '', 'x'))).detail?.channels.length, 1_000)
})

test('a hundred rows at most', async (t) => {
  const crowd = nodeWith(Array.from({ length: 2_500 }, (_, at) => ({ id: `c${at}`, stats: { age: 2_500 - at } })))
  const { rows, found } = await connectionTable(crowd, '', by('age'))
  t.same([rows.length, found], [100, 2_500])
  t.equal(unpackConnection(rows[0] as []).id, 'c2499')
})
