import type { NodeFigures } from '../node/figures.ts'
import type { Packed } from './rows.ts'

/** One process at one moment. */
export interface Snapshot extends NodeFigures {
  /** Made by the process when it starts: its successor at the same place is another node. */
  readonly node: string
  readonly name: string
  readonly pid: number
  /** Milliseconds since 1970 by a clock that never goes back: that of the node which sends it to the page. */
  readonly at: number
  /** The kind of broker, and since when (as `at`) it is as it is. */
  readonly broker: { readonly kind: 'memory' | 'redis'; readonly since: number }
  /** The share of the time since the last snapshot in which the event loop was busy, from 0 to 1. */
  readonly busy: number
  /** Bytes of memory that the process has (resident set). */
  readonly memory: number
  /** The connections with the most bytes that wait to be read. */
  readonly slow: readonly SlowReader[]
  /** True if this is the last snapshot: the node has drained, and ends. */
  readonly last: boolean
}

export interface SlowReader {
  readonly id: string
  readonly user: string | null
  readonly route: string
  readonly buffered: number
}

/** Snapshots in their order. Each after the first has only the members that have changed. */
export type PackedSnapshots = readonly Partial<Snapshot>[]

/** A node's answer to a query. */
export interface TableAnswer {
  readonly kind: 'table'
  readonly node: string
  /** `keyOf` the query. */
  readonly query: string
  /** Rows of the node, and those among them that the search finds. */
  readonly total: number
  readonly found: number
  /** The first of them in the requested order. */
  readonly rows: readonly Packed[]
  /** The subscriptions of the connection that the query asks about, if it is on this node. At most 1,000. */
  readonly detail?: { readonly id: string; readonly channels: readonly string[] }
}

/** What a page receives, one JSON text on each line. */
export type PageMessage =
  /** The node that serves the page, and the time by its clock. All times in later messages are of that clock. */
  | { readonly kind: 'hello'; readonly node: string; readonly now: number }
  /** The last ten minutes of a node. */
  | { readonly kind: 'past'; readonly node: string; readonly samples: PackedSnapshots }
  | { readonly kind: 'now'; readonly snapshot: Snapshot }
  | TableAnswer
  /** The response ends: the page asks again. */
  | { readonly kind: 'end' }

/** How far a channel is, by its broker. */
export interface ChannelDepth {
  readonly offset: number
  readonly epoch: string
  /** How many publications the history has. */
  readonly size: number
}
