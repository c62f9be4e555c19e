import { existsSync, readFileSync } from 'node:fs'
import { test } from 'tap'
import { type Allocations, BASELINE, measureAllocations } from './allocations.ts'

/*
 * Fails if a handshake, a message, a connection or a subscription costs a tenth more memory than it did when the
 * baseline was written. If the rise is intended, or if something has become cheaper, write a new baseline:
 * `npm run bench -- --write-baseline`, with each major version of Node that has one.
 */
const TOLERANCE = 1.1
// V8's own tables grow at times that no code decides, which shows in figures this small: bytes for each subscription.
const UNSTEADY: Readonly<Record<string, number>> = {
  "kept by a channel client's first subscription": 200,
  "kept by a channel client's further subscription": 100
}

test('nothing has become more expensive', async (t) => {
  t.ok(existsSync(BASELINE), 'this version of Node has a baseline (npm run bench -- --write-baseline)')
  const baseline = JSON.parse(readFileSync(BASELINE, 'utf8')) as Allocations
  const measured = await measureAllocations()
  t.same(Object.keys(measured), Object.keys(baseline), 'the baseline has the same figures')
  for (const [figure, bytes] of Object.entries(measured)) {
    const before = baseline[figure] as number
    const most = before * TOLERANCE + (UNSTEADY[figure] ?? 0)
    t.ok(bytes <= most, `${figure}: ${bytes} bytes, ${before} in the baseline`)
  }
})
