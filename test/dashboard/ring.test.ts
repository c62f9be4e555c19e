import { test } from 'tap'
import { unpackSnapshots } from '../../lib/dashboard/packing.ts'
import { Ring, STEP } from '../../lib/dashboard/ring.ts'
import { snapshotOf } from './snapshot.ts'

test('it keeps ten minutes, a snapshot every two seconds', async (t) => {
  const ring = new Ring()
  const slow = [{ id: 'c', user: null, route: '/r', buffered: 1 }]
  for (let at = 0; at <= 700_000; at += STEP / 2) ring.add(snapshotOf({ at, slow }))
  const kept = unpackSnapshots(ring.packed())
  t.equal(kept.length, 300)
  t.equal(kept[0]?.at, 102_000)
  t.equal(kept.at(-1)?.at, 700_000)
  t.same(kept[0]?.slow, [], 'without what only the present needs')
  const bytes = JSON.stringify(ring.packed()).length
  t.ok(bytes < 20_000, `${bytes} bytes if nothing happens`)
})
