import { test } from 'tap'
import { Top, visitAll } from '../../lib/dashboard/top.ts'

test('the first of many, in their order', async (t) => {
  const top = new Top<number>(3, (a, b) => a - b)
  t.same(top.items, [])
  for (const item of [5, 1, 4, 4, 9, 0, 2]) top.add(item)
  t.same(top.items, [0, 1, 2])
})

test('of equal ones, the earlier', async (t) => {
  const top = new Top<[number, string]>(2, ([a], [b]) => a - b)
  for (const name of ['a', 'b', 'c']) top.add([1, name])
  t.same(
    top.items.map(([, name]) => name),
    ['a', 'b']
  )
})

test('a long walk lets other work run', async (t) => {
  let turns = 0
  const stop = setInterval(() => turns++, 0)
  const immediates: number[] = []
  const seen: number[] = []
  setImmediate(() => immediates.push(seen.length))
  await visitAll(
    Array.from({ length: 3_000 }, (_, at) => at),
    (at) => void seen.push(at)
  )
  clearInterval(stop)
  t.equal(seen.length, 3_000)
  t.ok((immediates[0] ?? 3_000) < 3_000)
})
