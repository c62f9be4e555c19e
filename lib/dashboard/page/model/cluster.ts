import type { Snapshot } from '../../messages.ts'

/*
 * The known nodes: their snapshots of the last minutes, in order, whether they came live or from a node's memory.
 */

/** Seconds in the charts. */
export const WINDOW = 600
// Milliseconds. A node that is silent for this long has gone.
const SILENCE = 5_000
// The first rates of the window are computed from snapshots before it.
const KEPT = (WINDOW + 40) * 1_000
// The times of other nodes are converted, and may differ a little from one conversion to the next.
const SAME = 400

export interface KnownNode {
  readonly id: string
  /** The name, and the process if another node has the same name. */
  label: string
  readonly name: string
  readonly pid: number
  /** The place in the palette. */
  readonly colour: number
  /** The oldest first. */
  readonly snapshots: Snapshot[]
  latest: Snapshot
  /** Connections when the drain began; 0 before. */
  atDrain: number
}

export type NodeState = 'up' | 'draining' | 'out-of-sight' | 'gone'

export interface ClusterView {
  /** The node that serves the page, once it is known. */
  readonly self?: string | undefined
  /** When the page lost its connection, by `now()`; only while it is lost. */
  readonly lostAt?: number | undefined
}

export class Cluster {
  readonly #nodes = new Map<string, KnownNode>()
  readonly #clock: { now(): number }
  /** The newest snapshot's time, and the time of its arrival by our clock. */
  #newest = { at: 0, came: 0 }

  /** @param clock Milliseconds that never go back. */
  constructor(clock: { now(): number } = performance) {
    this.#clock = clock
  }

  /** The time by the clock of the snapshots, in milliseconds since 1970; 0 before the first one. */
  now(): number {
    const { at, came } = this.#newest
    return at === 0 ? 0 : at + this.#clock.now() - came
  }

  /** Takes a snapshot, and returns whether its node is new. */
  take(snapshot: Snapshot): boolean {
    const { node: id, name, pid, at } = snapshot
    if (at > this.#newest.at) this.#newest = { at, came: this.#clock.now() }
    if (at < this.#newest.at - KEPT) return false
    const known = this.#nodes.get(id)
    if (known === undefined) {
      const colour = this.#freeColour()
      const node = { id, label: name, name, pid, colour, snapshots: [snapshot], latest: snapshot, atDrain: 0 }
      this.#nodes.set(id, node)
      this.#label()
      noteDrain(node, undefined, snapshot)
      return true
    }
    insert(known.snapshots, snapshot)
    const before = known.latest
    known.latest = known.snapshots.at(-1) as Snapshot
    if (known.latest !== before) noteDrain(known, before, known.latest)
    return false
  }

  /** Drops old snapshots. */
  trim(): void {
    const oldest = this.now() - KEPT
    for (const { id, snapshots } of this.#nodes.values()) {
      const past = snapshots.findIndex(({ at }) => at >= oldest)
      if (past === -1) this.#nodes.delete(id)
      else snapshots.splice(0, past)
    }
  }

  /** All known nodes, including those that have gone. */
  nodes(): KnownNode[] {
    return [...this.#nodes.values()].sort((a, b) => a.label.localeCompare(b.label, 'en', { numeric: true }))
  }

  find(id: string | undefined): KnownNode | undefined {
    return id === undefined ? undefined : this.#nodes.get(id)
  }

  /**
   * `out-of-sight` is the state of nodes that were there when this page could no longer see them: since its connection
   * was lost, or since its own node cannot reach Redis. Then silence proves nothing.
   */
  stateOf({ latest }: KnownNode, { self, lostAt = Number.POSITIVE_INFINITY }: ClusterView): NodeState {
    if (latest.last) return 'gone'
    if (this.now() - latest.at < SILENCE) return latest.draining ? 'draining' : 'up'
    const own = this.find(self)?.latest
    const blindSince = own?.brokerUp === false ? Math.min(own.broker.since, lostAt) : lostAt
    return latest.at > blindSince - SILENCE ? 'out-of-sight' : 'gone'
  }

  #freeColour(): number {
    const taken = new Set(Array.from(this.#nodes.values(), ({ colour }) => colour))
    let colour = 0
    while (taken.has(colour)) colour++
    return colour
  }

  #label(): void {
    const nodes = [...this.#nodes.values()]
    for (const node of nodes) {
      const isShared = nodes.some((other) => other !== node && other.name === node.name)
      node.label = isShared ? `${node.name} · ${node.pid}` : node.name
    }
  }
}

/** Open connections of a snapshot, over all routes. */
export function connectionsOf({ connections }: Snapshot): number {
  return Object.values(connections).reduce((sum, open) => sum + open, 0)
}

function noteDrain(node: KnownNode, before: Snapshot | undefined, after: Snapshot): void {
  if (!after.draining || node.atDrain > 0) return
  node.atDrain = Math.max(before === undefined ? 0 : connectionsOf(before), connectionsOf(after))
}

function insert(snapshots: Snapshot[], snapshot: Snapshot): void {
  let place = snapshots.length
  while (place > 0 && (snapshots[place - 1] as Snapshot).at > snapshot.at) place--
  const [before, after] = [snapshots[place - 1], snapshots[place]]
  const isKnown = [before, after].some((other) => other !== undefined && Math.abs(other.at - snapshot.at) < SAME)
  // The last snapshot of a node may come shortly after the one before it.
  if (!isKnown || snapshot.last) snapshots.splice(place, 0, snapshot)
}
