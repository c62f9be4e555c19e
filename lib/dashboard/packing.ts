import type { PackedSnapshots, Snapshot } from './messages.ts'

/*
 * Ten minutes of snapshots in a few bytes. Most members stay the same from one to the next.
 */

export function packSnapshots(snapshots: readonly Snapshot[]): PackedSnapshots {
  const known = new Map<string, string>()
  return snapshots.map((snapshot) => {
    const changed = Object.entries(snapshot).filter(([name, value]) => {
      const text = JSON.stringify(value)
      const isSame = known.get(name) === text
      known.set(name, text)
      return !isSame
    })
    return Object.fromEntries(changed)
  })
}

export function unpackSnapshots(packed: PackedSnapshots): Snapshot[] {
  let whole = {} as Snapshot
  return packed.map((changed) => {
    whole = { ...whole, ...changed }
    return whole
  })
}

/** The same snapshot by a clock that shows so many milliseconds more. */
export function shifted<Sample extends Partial<Snapshot>>(sample: Sample, milliseconds: number): Sample {
  const { at, broker } = sample
  return {
    ...sample,
    ...(at !== undefined && { at: at + milliseconds }),
    ...(broker !== undefined && { broker: { ...broker, since: broker.since + milliseconds } })
  }
}
