import { test } from 'tap'
import type { TableAnswer } from '../../../../lib/dashboard/messages.ts'
import { mergeChannels, mergeConnections } from '../../../../lib/dashboard/page/model/tables.ts'
import type { Query } from '../../../../lib/dashboard/query.ts'
import { type ConnectionRow, packChannel, packConnection } from '../../../../lib/dashboard/rows.ts'

const by = (order: string, descending = false, search = ''): Query => ({
  view: 'connections',
  order,
  descending,
  search
})
const answer = (node: string, rows: TableAnswer['rows']): TableAnswer => ({
  kind: 'table',
  node,
  query: '',
  total: rows.length,
  found: rows.length,
  rows
})
const row = (id: string, more: Partial<ConnectionRow> = {}) =>
  packConnection({
    id,
    user: id,
    route: '/r',
    age: 1,
    received: 0,
    sent: 0,
    bytes: 0,
    buffered: 0,
    roundTrip: null,
    subscriptions: 0,
    channels: [],
    ...more
  })

test('the connections of several nodes in one order', async (t) => {
  const answers = [
    answer('1', [row('b', { roundTrip: 2 }), row('d')]),
    answer('2', [row('a'), row('c', { user: null })])
  ]
  const names = new Map([['1', 'web 1']])
  const ids = (query: Query) => mergeConnections(answers, names, query).map(({ id }) => id)
  t.same(ids(by('user')), ['c', 'a', 'b', 'd'])
  t.same(ids(by('user', true)), ['d', 'b', 'a', 'c'])
  t.same(ids(by('roundTrip', true)), ['b', 'd', 'a', 'c'])
  t.same(ids(by('node', true)), ['b', 'd', 'a', 'c'], 'a node that is not known any more has no name')
  t.same(ids(by('user', false, 'WEB 1')), ['b', 'd'])
})

test('the search looks at what is named, and trusts the node for the rest', async (t) => {
  const rows = [
    row('a', { subscriptions: 1, channels: ['rooms/tea'] }),
    row('b', { subscriptions: 4, channels: ['x'] }),
    row('c')
  ]
  const found = mergeConnections([answer('1', rows)], new Map(), by('user', false, 'tea'))
  t.same(
    found.map(({ id }) => id),
    ['a', 'b']
  )
})

test('a channel of several nodes is one row', async (t) => {
  const channel = (name: string, subscribers: number, rate: number | null, offset = 0, epoch = '') =>
    packChannel({ name, subscribers, rate, offset, epoch })
  const answers = [
    answer('1', [channel('a', 2, 5, 10, 'e'), channel('b', 1, null), channel('c', 1, 1, 5, 'old')]),
    answer('2', [channel('a', 3, 4, 8, 'e'), channel('c', 1, null, 1, 'new'), channel('d', 9, null, 3, 'e')])
  ]
  const depths = {
    a: { offset: 11, epoch: 'e', size: 7 },
    b: { offset: 1, epoch: 'x', size: 1 },
    c: { offset: 1, epoch: 'other', size: 0 }
  }
  const query: Query = { view: 'channels', order: 'name', descending: false, search: '' }
  t.same(mergeChannels(answers, depths, query), [
    { name: 'a', subscribers: 5, rate: 5, offset: 10, epoch: 'e', size: 7, lag: 3 },
    { name: 'b', subscribers: 1, rate: null, offset: 0, epoch: '', size: null, lag: null },
    { name: 'c', subscribers: 2, rate: 1, offset: 1, epoch: 'new', size: 0, lag: null },
    { name: 'd', subscribers: 9, rate: null, offset: 3, epoch: 'e', size: null, lag: null }
  ])
  const names = (order: string, descending: boolean, search = '') =>
    mergeChannels(answers, depths, { ...query, order, descending, search }).map(({ name }) => name)
  t.same(names('subscribers', true), ['d', 'a', 'c', 'b'])
  t.same(names('rate', true), ['a', 'c', 'b', 'd'])
  t.same(names('name', false, 'B'), ['b'])
})
