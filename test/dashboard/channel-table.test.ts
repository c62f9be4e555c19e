import { test } from 'tap'
import { channelTable } from '../../lib/dashboard/channel-table.ts'
import type { Query } from '../../lib/dashboard/query.ts'
import { unpackChannel } from '../../lib/dashboard/rows.ts'
import type { Node } from '../../lib/node/node.ts'

const channel = (name: string, size: number, offset = 0) => ({
  name,
  size,
  position: { offset, epoch: offset ? 'e' : '' }
})
const channels = [channel('rooms/b', 3), channel('rooms/a', 3, 9), channel('users/c', 1, 2)]
const node = { hub: { all: () => channels.values(), channels: channels.length } } as unknown as Node
const rates: Record<string, number> = { 'rooms/a': 1, 'users/c': 5 }
const table = (order: string, descending = false, search = '') =>
  channelTable(node, (name) => rates[name] ?? null, { view: 'channels', order, descending, search } as Query)
const names = async (...query: Parameters<typeof table>) =>
  (await table(...query)).rows.map((row) => unpackChannel(row).name)

test('each order; equal ones by name', async (t) => {
  t.same(await names('name'), ['rooms/a', 'rooms/b', 'users/c'])
  t.same(await names('subscribers', true), ['rooms/a', 'rooms/b', 'users/c'])
  t.same(await names('rate', true), ['users/c', 'rooms/a', 'rooms/b'])
  t.same(await names('offset', true), ['rooms/a', 'users/c', 'rooms/b'])
})

test('rows, and a search', async (t) => {
  const { total, found, rows } = await table('name', false, 'rooms/')
  t.same([total, found], [3, 2])
  t.strictSame(rows.map(unpackChannel), [
    { name: 'rooms/a', subscribers: 3, rate: 1, offset: 9, epoch: 'e' },
    { name: 'rooms/b', subscribers: 3, rate: null, offset: 0, epoch: '' }
  ])
})
