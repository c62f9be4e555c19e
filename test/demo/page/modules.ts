/* The page's modules that need no browser, as they are served. They are plain JavaScript: the types are told here. */

export interface Buckets {
  readonly bounds: readonly number[]
  readonly counts: readonly number[]
}

export interface Snapshot {
  readonly node: string
  readonly name: string
  readonly pid: number
  readonly at: number
  readonly connections: Readonly<Record<string, number>>
  readonly [figure: string]: unknown
}

interface Node {
  readonly id: string
  readonly name: string
  readonly colour: number
  readonly snapshots: readonly Snapshot[]
  readonly latest: Snapshot
  readonly atDrain: number
}

interface View {
  readonly self?: string
  readonly lostAt?: number
}

export interface Cluster {
  now(): number
  take(snapshot: Snapshot): boolean
  trim(): void
  nodes(): Node[]
  find(id: string): Node | undefined
  stateOf(node: Node, view: View): string
}

export interface Track {
  readonly node: Node
  readonly snapshots: readonly Snapshot[]
  readonly places: readonly number[]
}

export interface Frame {
  readonly seconds: readonly number[]
  readonly tracks: readonly Track[]
}

type Line = readonly (number | null)[]
type Read<T> = (snapshot: Snapshot) => T

export interface Modules {
  percentiles: {
    between(later: Buckets, earlier?: Buckets): Buckets
    together(all: readonly Buckets[]): Buckets | null
    percentile(share: number, buckets: Buckets | null): number | null
  }
  cluster: { WINDOW: number; Cluster: new (clock: { now(): number }) => Cluster }
  timeline: {
    frameOf(nodes: readonly Node[], now: number): Frame
    level(track: Track, read: Read<number>): Line
    rate(track: Track, read: Read<number>): Line
    total(lines: readonly Line[]): Line
    percentiles(frame: Frame, read: Read<Buckets>, options: { shares: readonly number[]; width: number }): Line[]
    tally(frame: Frame, read: Read<Record<string, number>>): { name: string; recent: number; all: number }[]
  }
  columns: {
    COLUMNS: readonly { id: string }[]
    unpack(page: { rows: readonly unknown[] }, node: string): Record<string, unknown>[]
    keyOf(query: object): string
    ranked(rows: readonly object[], query: object): { id: string }[]
  }
  format: Record<'count' | 'rate' | 'bytes' | 'latency' | 'duration', (value: number | null) => string>
}

export function load<Name extends keyof Modules>(name: Name): Promise<Modules[Name]> {
  return import(new URL(`../../../demo/page/dashboard/${name}.js`, import.meta.url).href)
}
