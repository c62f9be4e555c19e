/*
 * The known nodes: their snapshots of the last minutes (demo/dashboard/node.ts describes a snapshot), in order, whether
 * they came over the channel, from its history, or from the node itself.
 */

/** Seconds in the charts. */
export const WINDOW = 180
// Milliseconds. A node that is silent for this long has gone.
const SILENCE = 5_000
// The first rates of the window are computed from snapshots before it.
const KEPT = (WINDOW + 40) * 1_000

/**
 * @typedef {object} Node
 * @property {string} id
 * @property {string} name
 * @property {number} pid
 * @property {number} colour the place in the palette
 * @property {object[]} snapshots the oldest first
 * @property {object} latest
 * @property {number} atDrain connections when the drain began, 0 before
 */

export class Cluster {
  /** @type {Map<string, Node>} */
  #nodes = new Map()
  #clock
  /** The newest snapshot's time by its node's clock, and the time of its arrival by our clock. */
  #newest = { at: 0, came: 0 }

  /** @param {{ now(): number }} clock milliseconds that never go back */
  constructor(clock = performance) {
    this.#clock = clock
  }

  /** The time by the nodes' clocks, in milliseconds since 1970; 0 before the first snapshot. */
  now() {
    const { at, came } = this.#newest
    return at === 0 ? 0 : at + this.#clock.now() - came
  }

  /** Takes a snapshot, and returns whether its node is new. */
  take(snapshot) {
    const { node: id, name, pid, at } = snapshot
    if (at > this.#newest.at) this.#newest = { at, came: this.#clock.now() }
    if (at < this.#newest.at - KEPT) return false
    const known = this.#nodes.get(id)
    if (known === undefined) {
      const node = { id, name, pid, colour: this.#freeColour(), snapshots: [snapshot], latest: snapshot, atDrain: 0 }
      this.#nodes.set(id, node)
      noteDrain(node, undefined, snapshot)
      return true
    }
    insert(known.snapshots, snapshot)
    const before = known.latest
    known.latest = known.snapshots.at(-1)
    if (known.latest !== before) noteDrain(known, before, known.latest)
    return false
  }

  /** Drops old snapshots. */
  trim() {
    const oldest = this.now() - KEPT
    for (const { id, snapshots } of this.#nodes.values()) {
      const past = snapshots.findIndex(({ at }) => at >= oldest)
      if (past === -1) this.#nodes.delete(id)
      else snapshots.splice(0, past)
    }
  }

  /** All known nodes, including those that have gone. */
  nodes() {
    return [...this.#nodes.values()].sort((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true }))
  }

  find(id) {
    return this.#nodes.get(id)
  }

  /**
   * `out-of-sight` is the state of nodes that were there when this page could no longer see them: since its connection
   * was lost, or since the node at its other end cannot reach Redis. Then silence proves nothing.
   *
   * @param {Node} node
   * @param {{ self: string | undefined, lostAt?: number }} view by `now()`; `lostAt` only while it is lost
   * @returns {'up' | 'draining' | 'out-of-sight' | 'gone'}
   */
  stateOf({ latest }, { self, lostAt = Number.POSITIVE_INFINITY }) {
    if (latest.last) return 'gone'
    if (this.now() - latest.at < SILENCE) return latest.draining ? 'draining' : 'up'
    const own = this.#nodes.get(self)?.latest
    const blindSince = own?.brokerUp === false ? Math.min(own.broker.since, lostAt) : lostAt
    return latest.at > blindSince - SILENCE ? 'out-of-sight' : 'gone'
  }

  #freeColour() {
    const taken = new Set(Array.from(this.#nodes.values(), ({ colour }) => colour))
    let colour = 0
    while (taken.has(colour)) colour++
    return colour
  }
}

/** Open connections of a snapshot, over all routes. */
export function connectionsOf({ connections }) {
  return Object.values(connections).reduce((sum, open) => sum + open, 0)
}

function noteDrain(node, before, after) {
  if (!after.draining || node.atDrain > 0) return
  node.atDrain = Math.max(before === undefined ? 0 : connectionsOf(before), connectionsOf(after))
}

function insert(snapshots, snapshot) {
  let place = snapshots.length
  while (place > 0 && snapshots[place - 1].at > snapshot.at) place--
  if (snapshots[place - 1]?.at !== snapshot.at) snapshots.splice(place, 0, snapshot)
}
