import { WINDOW } from './cluster.js'
import { between, percentile, together } from './percentiles.js'

/*
 * The snapshots as lines over time. A line has one value for each second of the window; null makes a gap.
 */

// Milliseconds. A node's figures hold for this long, so that a node that is a little late does not dent the sums. Its
// first figures hold for as long before, since a page that begins to watch gets one node before the other.
const HOLD = 3_000
const LEAD = 2_500
// Rates are over this time: over one second they would jump with every message.
const RATE_OVER = 4_000
// Between snapshots further apart than this the rate is unknown.
const MAX_STEP = 10_000

/**
 * @typedef {object} Track a node's snapshots, and for each second the place of the one that holds then, or -1
 * @property {import('./cluster.js').Node} node
 * @property {object[]} snapshots
 * @property {number[]} places
 *
 * @typedef {object} Frame
 * @property {number[]} seconds since 1970
 * @property {Track[]} tracks
 */

/** @param {import('./cluster.js').Node[]} nodes @param {number} now milliseconds @returns {Frame} */
export function frameOf(nodes, now) {
  const end = Math.floor(now / 1_000)
  const seconds = Array.from({ length: WINDOW }, (_, at) => end - WINDOW + 1 + at)
  return { seconds, tracks: nodes.map((node) => ({ node, ...placed(node.snapshots, seconds) })) }
}

function placed(snapshots, seconds) {
  let next = 0
  const places = seconds.map((second) => {
    const end = (second + 1) * 1_000
    while (next < snapshots.length && snapshots[next].at < end) next++
    const held = snapshots[next - 1]
    const isOver = held === undefined || held.at < end - HOLD || (held.last && held.at < end - 1_000)
    if (!isOver) return next - 1
    return snapshots[next] !== undefined && snapshots[next].at < end + LEAD ? next : -1
  })
  return { snapshots, places }
}

/** A figure's value. @param {Track} track @param {(snapshot: object) => number} read */
export function level({ snapshots, places }, read) {
  return places.map((place) => (place === -1 ? null : read(snapshots[place])))
}

/** How fast a count grows, per second. @param {Track} track @param {(snapshot: object) => number} read */
export function rate({ snapshots, places }, read) {
  return places.map((place) => (place === -1 ? null : rateAt(snapshots, place, read)))
}

function rateAt(snapshots, place, read) {
  const after = snapshots[place]
  let first = Math.max(0, place - 1)
  while (first > 0 && after.at - snapshots[first - 1].at <= RATE_OVER) first--
  const before = snapshots[first]
  const step = after.at - before.at
  if (step > 0 && step <= MAX_STEP) return (Math.max(0, read(after) - read(before)) * 1_000) / step
  // The first of a run: the rate from here to the next.
  const next = snapshots[place + 1]
  return next !== undefined && next.at - after.at < LEAD ? rateAt(snapshots, place + 1, read) : null
}

/** The sum of lines; a gap if none has a value. @param {(number | null)[][]} lines */
export function total(lines) {
  const [first = []] = lines
  return first.map((_, at) => {
    const values = lines.map((line) => line[at]).filter((value) => value !== null)
    return values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0)
  })
}

/**
 * Percentiles over all nodes of the observations in the seconds before each, one line for each share.
 *
 * @param {Frame} frame
 * @param {(snapshot: object) => import('./percentiles.js').Buckets} read
 * @param {{ shares: number[], width: number }} options `width` in seconds
 */
export function percentiles({ seconds, tracks }, read, { shares, width }) {
  const merged = seconds.map((second, at) =>
    together(tracks.flatMap((track) => observed(track, at, (second + 1 - width) * 1_000, read)))
  )
  return shares.map((share) => merged.map((buckets) => percentile(share, buckets)))
}

function observed({ snapshots, places }, at, since, read) {
  const place = places[at]
  if (place < 1) return []
  let first = place - 1
  while (first > 0 && snapshots[first].at >= since) first--
  return [between(read(snapshots[place]), read(snapshots[first]))]
}

/**
 * Counts by name: how many in the window, and how many since the remaining nodes started, the most frequent first.
 *
 * @param {Frame} frame
 * @param {(snapshot: object) => Record<string, number>} read
 * @returns {{ name: string, recent: number, all: number }[]}
 */
export function tally({ seconds, tracks }, read) {
  const since = seconds[0] * 1_000
  const rows = new Map()
  for (const { snapshots } of tracks) {
    const first = read(snapshots.find(({ at }) => at >= since) ?? snapshots.at(-1))
    for (const [name, all] of Object.entries(read(snapshots.at(-1)))) {
      const row = rows.get(name) ?? { name, recent: 0, all: 0 }
      row.all += all
      row.recent += Math.max(0, all - (first[name] ?? 0))
      rows.set(name, row)
    }
  }
  return [...rows.values()].sort((a, b) => b.recent - a.recent || b.all - a.all || a.name.localeCompare(b.name))
}
