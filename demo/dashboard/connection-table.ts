import type { ConnectionInfo } from 'fastify-realtime'

/** Which connections a dashboard shows, and in which order. */
export interface TableQuery {
  readonly order: Order
  readonly descending: boolean
  /** Text that a row must contain, in upper or lower case; empty for all rows. */
  readonly search: string
}

/** A node's share of the table. */
export interface TablePage {
  /** `keyOf` the query that it answers. */
  readonly query: string
  /** Open connections of the node, and those among them that the search finds. */
  readonly total: number
  readonly found: number
  /** The first of them in the requested order, each with a value for each of `COLUMNS`. */
  readonly rows: readonly (readonly Cell[])[]
}

type Cell = string | number | null | readonly string[]
type Value = string | number

/**
 * A node sends at most this number of connections. The first connections of all nodes are among these, so the table of
 * all is exact.
 */
export const MAX_ROWS = 100
const MAX_SEARCH = 64
// At most this number of a row's channels is named, with this length of each name.
const MAX_CHANNELS = 3
const MAX_NAME = 60

/** The values of a row, in this order. */
export const COLUMNS = [
  'id',
  'user',
  'route',
  'age',
  'received',
  'sent',
  'bytes',
  'buffered',
  'roundTrip',
  'subscriptions',
  'channels'
] as const

// Within one node the name of the node orders nothing.
const ORDERS = {
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
} satisfies Record<string, (connection: ConnectionInfo) => Value>
type Order = keyof typeof ORDERS

/** A page's query, or undefined if the value is no query. */
export function parseQuery(value: unknown): TableQuery | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { order, descending, search } = value as Record<string, unknown>
  if (typeof order !== 'string' || !Object.hasOwn(ORDERS, order)) return undefined
  if (typeof descending !== 'boolean' || typeof search !== 'string' || search.length > MAX_SEARCH) return undefined
  return { order: order as Order, descending, search: search.toLowerCase() }
}

/** Two queries with the same key have the same answer. */
export function keyOf({ order, descending, search }: TableQuery): string {
  return `${descending ? '-' : '+'}${order}:${search}`
}

/** @param node The node's name, which a search may contain. */
export function pageOf(connections: readonly ConnectionInfo[], node: string, query: TableQuery): TablePage {
  const { order, descending, search } = query
  const found =
    search === '' ? [...connections] : connections.filter((connection) => contains(connection, node, search))
  const read: (connection: ConnectionInfo) => Value = ORDERS[order]
  const turned = descending ? -1 : 1
  // The youngest first if all else is equal, as on the page.
  const compare = (a: ConnectionInfo, b: ConnectionInfo) =>
    turned * compareValues(read(a), read(b)) || a.stats.age - b.stats.age
  const rows = found.sort(compare).slice(0, MAX_ROWS).map(rowOf)
  return { query: keyOf(query), total: connections.length, found: found.length, rows }
}

function compareValues(a: Value, b: Value): number {
  if (a === b) return 0
  return a < b ? -1 : 1
}

function contains({ id, user = '', route, subscriptions }: ConnectionInfo, node: string, search: string): boolean {
  return [node, user, route, id, ...subscriptions].some((text) => text.toLowerCase().includes(search))
}

function rowOf({ id, user, route, stats, bufferedAmount, roundTripTime, subscriptions }: ConnectionInfo): Cell[] {
  return [
    id,
    user ?? null,
    route,
    Math.round(stats.age),
    stats.messagesIn,
    stats.messagesOut,
    stats.bytesIn + stats.bytesOut,
    bufferedAmount,
    roundTripTime === undefined ? null : Math.round(roundTripTime * 10) / 10,
    subscriptions.length,
    subscriptions.slice(0, MAX_CHANNELS).map((name) => (name.length > MAX_NAME ? `${name.slice(0, MAX_NAME)}…` : name))
  ]
}
