import { test } from 'tap'
import { NodeClocks } from '../../lib/dashboard/node-clocks.ts'

test('the fastest message shows how much a clock differs', async (t) => {
  const clocks = new NodeClocks()
  t.equal(clocks.shift('a', 1_000, 91_050), 90_050)
  t.equal(clocks.shift('a', 2_000, 92_010), 90_010)
  t.equal(clocks.shift('a', 3_000, 93_500), 90_010, 'a late message changes nothing')
  t.equal(clocks.shift('a', 4_000, 104_000), 100_000, 'the clock of a process that was stopped is behind')
  t.equal(clocks.shift('b', 5_000, 5_001), 1)
})

test('nodes that are silent are forgotten', async (t) => {
  const clocks = new NodeClocks()
  clocks.shift('a', 0, 10)
  for (let node = 0; node < 999; node++) clocks.shift(String(node), 0, 10)
  t.equal(clocks.shift('a', 0, 20), 10)
  clocks.shift('another', 0, 10)
  t.equal(clocks.shift('0', 0, 20), 20)
})
