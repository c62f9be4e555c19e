import { test } from 'tap'
import { PublicationCounts } from '../../lib/dashboard/publication-counts.ts'

test('rates are of the last period', async (t) => {
  let now = 0
  const counts = new PublicationCounts(() => now)
  counts.note('a')
  t.equal(counts.rateOf('a'), null, 'no period has ended')
  for (let at = 0; at < 4; at++) counts.note('a')
  now = 2_000
  counts.turn()
  t.equal(counts.rateOf('a'), 2.5)
  t.equal(counts.rateOf('b'), 0)
  now = 3_000
  counts.turn()
  t.equal(counts.rateOf('a'), 0)
})

test('names are bounded', async (t) => {
  let now = 0
  const counts = new PublicationCounts(() => now)
  for (let at = 0; at < 20_001; at++) counts.note(String(at))
  counts.note('0')
  now = 1_000
  counts.turn()
  t.same([counts.rateOf('0'), counts.rateOf('19999'), counts.rateOf('20000')], [2, 1, 0])
})
