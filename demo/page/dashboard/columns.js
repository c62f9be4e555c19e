import { bytes, count, duration, latency, NONE } from './format.js'

/*
 * The table's columns, and the order of rows: the same as on the nodes (demo/dashboard/connection-table.ts).
 */

// The values of a node's row, in this order.
const PACKED = [
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
]

/** `isText`: in ascending order at first, and not from the highest. */
export const COLUMNS = [
  { id: 'node', label: 'Node', isText: true, show: ({ node }) => node },
  { id: 'user', label: 'User', isText: true, show: ({ user }) => user ?? 'anonymous' },
  { id: 'route', label: 'Route', isText: true, show: ({ route }) => route },
  { id: 'age', label: 'Age', show: ({ age }) => duration(age) },
  { id: 'received', label: 'In', show: ({ received }) => count(received) },
  { id: 'sent', label: 'Out', show: ({ sent }) => count(sent) },
  { id: 'bytes', label: 'Bytes', show: (row) => bytes(row.bytes) },
  { id: 'buffered', label: 'Waiting', show: ({ buffered }) => bytes(buffered) },
  {
    id: 'roundTrip',
    label: 'Round trip',
    show: ({ roundTrip }) => (roundTrip === null ? NONE : latency(roundTrip / 1_000))
  },
  { id: 'subscriptions', label: 'Channels', show: ({ subscriptions }) => count(subscriptions) }
]

/** @param {{ rows: unknown[][] }} page @param {string} node its name */
export function unpack({ rows }, node) {
  return rows.map((cells) => ({ node, ...Object.fromEntries(PACKED.map((name, at) => [name, cells[at]])) }))
}

/** The nodes write the query of an answer in this form. */
export function keyOf({ order, descending, search }) {
  return `${descending ? '-' : '+'}${order}:${search.toLowerCase()}`
}

/** The rows that the query finds, in its order. */
export function ranked(rows, { order, descending, search }) {
  const wanted = search.toLowerCase()
  const turned = descending ? -1 : 1
  return rows
    .filter((row) => wanted === '' || textsOf(row).some((text) => text.toLowerCase().includes(wanted)))
    .sort((a, b) => turned * compare(sortedBy(a, order), sortedBy(b, order)) || a.age - b.age)
}

function textsOf({ node, user, route, id, channels }) {
  return [node, user ?? '', route, id, ...channels]
}

function sortedBy(row, order) {
  if (order === 'user') return row.user ?? ''
  return order === 'roundTrip' ? (row.roundTrip ?? -1) : row[order]
}

function compare(a, b) {
  if (a === b) return 0
  return a < b ? -1 : 1
}
