/** Which rows of a table a page shows, and in which order. A page sends it, and the nodes answer it. */
export interface Query {
  readonly view: View
  readonly order: string
  readonly descending: boolean
  /** Text that a row must contain, in upper or lower case; empty for all rows. At most 64 characters. */
  readonly search: string
  /** The id of a connection. The node that has it answers with all its subscriptions too. */
  readonly detail?: string
}

export type View = 'connections' | 'channels'

const ORDERS: Readonly<Record<View, readonly string[]>> = {
  connections: ['node', 'user', 'route', 'age', 'received', 'sent', 'bytes', 'buffered', 'roundTrip', 'subscriptions'],
  channels: ['name', 'subscribers', 'rate', 'offset']
}
const MAX_SEARCH = 64
const MAX_ID = 100

/** A page's query, or undefined if the value is no query. */
export function parseQuery(value: unknown): Query | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { view, order, descending, search, detail } = value as Record<string, unknown>
  if (view !== 'connections' && view !== 'channels') return undefined
  if (typeof order !== 'string' || !ORDERS[view].includes(order) || typeof descending !== 'boolean') return undefined
  if (typeof search !== 'string' || search.length > MAX_SEARCH) return undefined
  if (detail !== undefined && (typeof detail !== 'string' || detail.length > MAX_ID)) return undefined
  return { view, order, descending, search: search.toLowerCase(), ...(detail !== undefined && { detail }) }
}

/** Two queries with the same key have the same answer. */
export function keyOf({ view, order, descending, search, detail = '' }: Query): string {
  return JSON.stringify([view, order, descending, search.toLowerCase(), detail])
}
