import type { PackedSnapshots, Snapshot } from './messages.ts'
import { packSnapshots } from './packing.ts'

/** Milliseconds. */
export const STEP = 2_000
const MINUTES = 10
const SIZE = (MINUTES * 60_000) / STEP

/** The snapshots of the last ten minutes, one every two seconds. */
export class Ring {
  #snapshots: Snapshot[] = []

  add(snapshot: Snapshot): void {
    const latest = this.#snapshots.at(-1)
    // A little early counts, since timers are not exact.
    if (latest !== undefined && snapshot.at - latest.at < STEP * 0.75) return
    this.#snapshots.push({ ...snapshot, slow: [] })
    if (this.#snapshots.length > SIZE) this.#snapshots.shift()
  }

  packed(): PackedSnapshots {
    return packSnapshots(this.#snapshots)
  }
}
