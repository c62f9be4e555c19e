import { test } from 'tap'
import { keyOf, parseQuery } from '../../lib/dashboard/query.ts'

const connections = { view: 'connections', order: 'age', descending: false, search: 'Ada' }

test('a query is a view, an order, a direction, a search and a connection, and nothing else', async (t) => {
  t.same(parseQuery({ ...connections, more: 1 }), { ...connections, search: 'ada' })
  t.same(parseQuery({ ...connections, detail: 'c1' }), { ...connections, search: 'ada', detail: 'c1' })
  t.ok(parseQuery({ view: 'channels', order: 'rate', descending: true, search: '' }))
  const wrong = [
    undefined,
    null,
    'age',
    {},
    { ...connections, view: 'users' },
    { ...connections, order: 'toString' },
    { ...connections, order: 5 },
    { ...connections, order: 'rate' },
    { ...connections, descending: 'yes' },
    { ...connections, search: 5 },
    { ...connections, search: 'x'.repeat(65) },
    { ...connections, detail: 5 },
    { ...connections, detail: 'x'.repeat(101) }
  ]
  for (const value of wrong) t.equal(parseQuery(value), undefined, JSON.stringify(value))
})

test('queries with one key have one answer', async (t) => {
  const query = { ...connections, view: 'connections' } as const
  t.equal(keyOf(query), keyOf({ ...query, search: 'ADA' }))
  t.not(keyOf(query), keyOf({ ...query, detail: 'c' }))
  t.not(keyOf({ ...query, search: '","' }), keyOf({ ...query, search: '' }))
})
