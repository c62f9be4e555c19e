import type { ConnectionInfo } from '../node/connection-info.ts'
import { connectionInfo } from '../node/connection-info.ts'
import type { Node } from '../node/node.ts'
import type { TableAnswer } from './messages.ts'
import type { Query } from './query.ts'
import { compareValues, MAX_ROWS, packConnection } from './rows.ts'
import { Top, visitAll } from './top.ts'

// At most this number of a row's channels is named, with this length of each name.
const MAX_CHANNELS = 3
const MAX_NAME = 60
const MAX_SUBSCRIPTIONS = 1_000

type Value = string | number

// Within one node the name of the node orders nothing.
const ORDERS: Readonly<Record<string, (connection: ConnectionInfo) => Value>> = {
  node: () => 0,
  user: ({ user = '' }) => user,
  route: ({ route }) => route,
  age: ({ stats }) => stats.age,
  received: ({ stats }) => stats.messagesIn,
  sent: ({ stats }) => stats.messagesOut,
  bytes: ({ stats }) => stats.bytesIn + stats.bytesOut,
  buffered: ({ bufferedAmount }) => bufferedAmount,
  roundTrip: ({ roundTripTime = -1 }) => roundTripTime,
  subscriptions: ({ subscriptions }) => subscriptions.length
}

/** A node's share of the connections that a query asks for. The first of all nodes are among those of each node. */
export async function connectionTable(node: Node, name: string, query: Query): Promise<Omit<TableAnswer, 'node'>> {
  const { order, descending, search, detail } = query
  const read = ORDERS[order] as (connection: ConnectionInfo) => Value
  const turned = descending ? -1 : 1
  // The youngest first if all else is equal, as on the page.
  const top = new Top<ConnectionInfo>(
    MAX_ROWS,
    (a, b) => turned * compareValues(read(a), read(b)) || a.stats.age - b.stats.age
  )
  const { registry, hub } = node
  let found = 0
  await visitAll(registry, (connection) => {
    const info = connectionInfo(connection, hub)
    if (search !== '' && !contains(info, name, search)) return
    found++
    top.add(info)
  })
  const shown = detail === undefined ? undefined : registry.get(detail)
  return {
    kind: 'table',
    query: '',
    total: registry.size,
    found,
    rows: top.items.map((info) => packConnection(rowOf(info))),
    ...(shown && {
      detail: { id: shown.id, channels: connectionInfo(shown, hub).subscriptions.slice(0, MAX_SUBSCRIPTIONS) }
    })
  }
}

function contains({ id, user = '', route, subscriptions }: ConnectionInfo, node: string, search: string): boolean {
  const holds = (text: string) => text.toLowerCase().includes(search)
  return holds(node) || holds(user) || holds(route) || holds(id) || subscriptions.some(holds)
}

function rowOf({ id, user, route, stats, bufferedAmount, roundTripTime, subscriptions }: ConnectionInfo) {
  return {
    id,
    user: user ?? null,
    route,
    age: Math.round(stats.age),
    received: stats.messagesIn,
    sent: stats.messagesOut,
    bytes: stats.bytesIn + stats.bytesOut,
    buffered: bufferedAmount,
    roundTrip: roundTripTime === undefined ? null : Math.round(roundTripTime * 10) / 10,
    subscriptions: subscriptions.length,
    channels: subscriptions
      .slice(0, MAX_CHANNELS)
      .map((name) => (name.length > MAX_NAME ? `${name.slice(0, MAX_NAME)}…` : name))
  }
}
