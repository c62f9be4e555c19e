import type { ChannelDepth, TableAnswer } from '../../messages.ts'
import type { Query } from '../../query.ts'
import { type ConnectionRow, compareValues, unpackChannel, unpackConnection } from '../../rows.ts'

/*
 * The answers of all nodes as one table.
 */

/** A connection, with the name of its node. */
export interface ShownConnection extends ConnectionRow {
  readonly node: string
}

/** A channel on all nodes. */
export interface ShownChannel {
  readonly name: string
  readonly subscribers: number
  /** Publications per second. */
  readonly rate: number | null
  readonly offset: number
  readonly epoch: string
  /** How many publications the history has. Null if it has none, or is not known yet. */
  readonly size: number | null
  /** By how many publications the node that is furthest behind is behind the broker. Null if it is not known. */
  readonly lag: number | null
}

/** @param names The nodes' names, by their ids. */
export function mergeConnections(
  answers: readonly TableAnswer[],
  names: ReadonlyMap<string, string>,
  { order, descending, search }: Query
): ShownConnection[] {
  const wanted = search.toLowerCase()
  const turned = descending ? -1 : 1
  return answers
    .flatMap(({ node, rows }) => rows.map((cells) => ({ node: names.get(node) ?? '', ...unpackConnection(cells) })))
    .filter((row) => mayContain(row, wanted))
    .sort((a, b) => turned * compareValues(sortedBy(a, order), sortedBy(b, order)) || a.age - b.age)
}

function mayContain({ node, user, route, id, channels, subscriptions }: ShownConnection, wanted: string): boolean {
  // A node knows all channels of a connection, and may have found it by one that is not named here.
  if (subscriptions > channels.length) return true
  return [node, user ?? '', route, id, ...channels].some((text) => text.toLowerCase().includes(wanted))
}

function sortedBy(row: ShownConnection, order: string): string | number {
  if (order === 'user') return row.user ?? ''
  if (order === 'roundTrip') return row.roundTrip ?? -1
  return row[order as 'node' | 'route' | 'age']
}

/**
 * Every node receives each publication of a channel that it is subscribed to, so its rate is the highest of all nodes.
 * Subscribers are on one node each, so their numbers are added.
 */
export function mergeChannels(
  answers: readonly TableAnswer[],
  depths: Readonly<Record<string, ChannelDepth>>,
  { order, descending, search }: Query
): ShownChannel[] {
  const merged = new Map<string, ShownChannel & { readonly least: number }>()
  for (const cells of answers.flatMap(({ rows }) => rows)) {
    const row = unpackChannel(cells)
    const known = merged.get(row.name)
    const rates = [known?.rate, row.rate].filter((rate) => typeof rate === 'number')
    // After a new epoch, offsets of different epochs cannot be compared.
    const isComparable = known === undefined || known.epoch === row.epoch
    merged.set(row.name, {
      ...row,
      subscribers: row.subscribers + (known?.subscribers ?? 0),
      rate: rates.length === 0 ? null : Math.max(...rates),
      offset: isComparable ? Math.max(row.offset, known?.offset ?? 0) : row.offset,
      least: isComparable ? Math.min(row.offset, known?.least ?? row.offset) : row.offset,
      size: null,
      lag: null
    })
  }
  const wanted = search.toLowerCase()
  const turned = descending ? -1 : 1
  return [...merged.values()]
    .filter(({ name }) => name.toLowerCase().includes(wanted))
    .map(({ least, ...row }) => withDepth(row, least, depths[row.name]))
    .sort((a, b) => turned * compareValues(figureOf(a, order), figureOf(b, order)) || compareValues(a.name, b.name))
}

function withDepth(row: ShownChannel, least: number, depth: ChannelDepth | undefined): ShownChannel {
  if (depth === undefined || row.epoch === '') return row
  // The broker was asked at another moment than the nodes: a node may be ahead of the answer.
  const lag = depth.epoch === row.epoch ? Math.max(0, depth.offset - least) : null
  return { ...row, size: depth.size, lag }
}

function figureOf(row: ShownChannel, order: string): string | number {
  return row[order as 'name' | 'subscribers'] ?? -1
}
