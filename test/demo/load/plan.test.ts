import t from 'tap'
import { backoff } from '../../../demo/load/client/backoff.ts'
import { type LoadOptions, readOptions } from '../../../demo/load/command/options.ts'
import { groupsOf, interleave, isSlow, publishersOf } from '../../../demo/load/plan.ts'

const read = (line: string) => readOptions(line.split(' '), {}) as LoadOptions

t.test('connections are spread over the channels, and no channel is empty', async (t) => {
  const options = read('--connections 10 --channels 4 --subscriptions 3')
  const groups = Array.from({ length: 10 }, (_, at) => groupsOf(options, at))
  for (const group of groups) t.equal(new Set(group).size, 3, 'no channel twice')
  const members = [0, 1, 2, 3].map((group) => groups.flat().filter((one) => one === group).length)
  t.same(members, [8, 8, 7, 7])
  t.same(groupsOf(read('--url ws://a/echo'), 42), [42])
})

t.test('slow readers are the last ones', async (t) => {
  const options = read('--connections 10 --channels 2 --slow-readers 3')
  t.same(
    Array.from({ length: 10 }, (_, at) => at).filter((at) => isSlow(options, at)),
    [7, 8, 9]
  )
})

t.test('as many publish as keep each at twenty messages a second', async (t) => {
  t.equal(publishersOf(read('--channels 10 --rate 100'), 10), 1)
  t.equal(publishersOf(read('--channels 2 --rate 100'), 50), 3)
  t.equal(publishersOf(read('--channels 2 --rate 1000'), 5), 5, 'there are no more')
  t.equal(publishersOf(read('--channels 2 --publishers 4'), 50), 4)
  t.equal(publishersOf(read('--url ws://a/echo --rate 1000'), 1), 1)
})

t.test('every channel has its turn before any has a second one', async (t) => {
  t.same(interleave([['a1', 'a2'], ['b1'], ['c1', 'c2', 'c3']]), ['a1', 'b1', 'c1', 'a2', 'c2', 'c3'])
  t.same(interleave([]), [])
})

t.test('backoff: exponential, with full jitter, up to 20 s', async (t) => {
  const most = (failures: number) => backoff(failures, () => 1)
  t.same([0, 1, 2, 5, 6, 40].map(most), [500, 1000, 2000, 16_000, 20_000, 20_000])
  t.equal(
    backoff(3, () => 0),
    0
  )
  const drawn = Array.from({ length: 100 }, () => backoff(0))
  t.ok(new Set(drawn).size > 90)
  t.ok(drawn.every((milliseconds) => milliseconds >= 0 && milliseconds < 500))
})
