import { test } from 'tap'
import { packSnapshots, shifted, unpackSnapshots } from '../../lib/dashboard/packing.ts'
import { snapshotOf } from './snapshot.ts'

test('snapshots are packed into what has changed', async (t) => {
  const snapshots = [snapshotOf(), snapshotOf({ at: 2_000, closes: { 1000: 1 } }), snapshotOf({ at: 3_000 })]
  const packed = packSnapshots(snapshots)
  t.same(packed.slice(1), [
    { at: 2_000, closes: { 1000: 1 } },
    { at: 3_000, closes: {} }
  ])
  t.strictSame(unpackSnapshots(JSON.parse(JSON.stringify(packed))), snapshots)
  t.same(unpackSnapshots([]), [])
})

test('times are converted, where there are any', async (t) => {
  t.match(shifted(snapshotOf({ at: 5, broker: { kind: 'redis', since: 1 } }), 10), { at: 15, broker: { since: 11 } })
  t.same(shifted({ busy: 1 }, 10), { busy: 1 })
})
