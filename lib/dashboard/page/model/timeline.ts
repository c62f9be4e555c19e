import type { Buckets } from '../../../node/figures.ts'
import type { Snapshot } from '../../messages.ts'
import { type KnownNode, WINDOW } from './cluster.ts'
import { between, percentile, together } from './percentiles.ts'

/*
 * The snapshots as lines over time. A line has one value for each second of the window; null makes a gap.
 */

// Milliseconds. A node's figures hold for this long, so that a node that is a little late does not dent the sums. Its
// first figures hold for as long before, since a page that begins to watch gets one node before the other.
const HOLD = 3_500
const LEAD = 2_500
// Rates are over this time: over one second they would jump with every message.
const RATE_OVER = 4_500
// Between snapshots further apart than this the rate is unknown.
const MAX_STEP = 10_000

/** A node's snapshots, and for each second the place of the one that holds then, or -1. */
export interface Track {
  readonly node: KnownNode
  readonly snapshots: readonly Snapshot[]
  readonly places: readonly number[]
}

export interface Frame {
  /** Since 1970. */
  readonly seconds: readonly number[]
  readonly tracks: readonly Track[]
}

export type Line = readonly (number | null)[]

/** @param now Milliseconds. */
export function frameOf(nodes: readonly KnownNode[], now: number): Frame {
  const end = Math.floor(now / 1_000)
  const seconds = Array.from({ length: WINDOW }, (_, at) => end - WINDOW + 1 + at)
  return { seconds, tracks: nodes.map((node) => ({ node, ...placed(node.snapshots, seconds) })) }
}

function placed(snapshots: readonly Snapshot[], seconds: readonly number[]): Omit<Track, 'node'> {
  let next = 0
  const places = seconds.map((second) => {
    const end = (second + 1) * 1_000
    for (let after = snapshots[next]; after !== undefined && after.at < end; after = snapshots[next]) next++
    const held = snapshots[next - 1]
    const isOver = held === undefined || held.at < end - HOLD || (held.last && held.at < end - 1_000)
    if (!isOver) return next - 1
    const following = snapshots[next]
    return following !== undefined && following.at < end + LEAD ? next : -1
  })
  return { snapshots, places }
}

/** A figure's value. */
export function level({ snapshots, places }: Track, read: (snapshot: Snapshot) => number): Line {
  return places.map((place) => (place === -1 ? null : read(snapshots[place] as Snapshot)))
}

/** How fast a count grows, per second. */
export function rate({ snapshots, places }: Track, read: (snapshot: Snapshot) => number): Line {
  return places.map((place) => (place === -1 ? null : rateAt(snapshots, place, read)))
}

function rateAt(snapshots: readonly Snapshot[], place: number, read: (snapshot: Snapshot) => number): number | null {
  const after = snapshots[place] as Snapshot
  let first = Math.max(0, place - 1)
  while (first > 0 && after.at - (snapshots[first - 1] as Snapshot).at <= RATE_OVER) first--
  const before = snapshots[first] as Snapshot
  const step = after.at - before.at
  if (step > 0 && step <= MAX_STEP) return (Math.max(0, read(after) - read(before)) * 1_000) / step
  // The first of a run: the rate from here to the next.
  const next = snapshots[place + 1]
  return next !== undefined && next.at - after.at < LEAD ? rateAt(snapshots, place + 1, read) : null
}

/** The sum of lines; a gap if none has a value. */
export function total(lines: readonly Line[]): Line {
  const [first = []] = lines
  return first.map((_, at) => {
    const values = lines.map((line) => line[at]).filter((value) => typeof value === 'number')
    return values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0)
  })
}

/**
 * Percentiles over all nodes of the observations in the seconds before each, one line for each share.
 * @param options `width` in seconds.
 */
export function percentiles(
  { seconds, tracks }: Frame,
  read: (snapshot: Snapshot) => Buckets,
  { shares, width }: { readonly shares: readonly number[]; readonly width: number }
): Line[] {
  const merged = seconds.map((second, at) =>
    together(tracks.flatMap((track) => observed(track, at, (second + 1 - width) * 1_000, read)))
  )
  return shares.map((share) => merged.map((buckets) => percentile(share, buckets)))
}

function observed(
  { snapshots, places }: Track,
  at: number,
  since: number,
  read: (snapshot: Snapshot) => Buckets
): Buckets[] {
  const place = places[at] as number
  if (place < 1) return []
  let first = place - 1
  while (first > 0 && (snapshots[first] as Snapshot).at >= since) first--
  return [between(read(snapshots[place] as Snapshot), read(snapshots[first] as Snapshot))]
}

export interface Count {
  readonly name: string
  /** In the window. */
  recent: number
  /** Since the remaining nodes started. */
  all: number
}

/** Counts by name, the most frequent first. */
export function tally(
  { seconds, tracks }: Frame,
  read: (snapshot: Snapshot) => Readonly<Record<string, number>>
): Count[] {
  const since = (seconds[0] as number) * 1_000
  const rows = new Map<string, Count>()
  for (const { snapshots } of tracks) {
    const latest = snapshots.at(-1) as Snapshot
    const first = read(snapshots.find(({ at }) => at >= since) ?? latest)
    for (const [name, all] of Object.entries(read(latest))) {
      const row = rows.get(name) ?? { name, recent: 0, all: 0 }
      row.all += all
      row.recent += Math.max(0, all - (first[name] ?? 0))
      rows.set(name, row)
    }
  }
  return [...rows.values()].sort((a, b) => b.recent - a.recent || b.all - a.all || a.name.localeCompare(b.name))
}
