import { test } from 'tap'
import { pageModule } from '../../support/page-module.ts'

const { Tally } = await pageModule('tally.js')

const figures = ({ count, lost, duplicated, gap }: Record<string, number>) => ({ count, lost, duplicated, gap })

test('nothing lost, nothing twice, and no gap while each comes in its time', async (t) => {
  const tally = new Tally(50)
  for (const at of [0, 50, 100]) {
    tally.made(`${at}`, at)
    tally.arrived(`${at}`, at + 4)
  }
  t.same(figures(tally), { count: 3, lost: 0, duplicated: 0, gap: 0 })
})

test('the gap is the longest time without a mark, less the interval', async (t) => {
  const tally = new Tally(50)
  for (const at of [0, 50, 100, 150, 200]) tally.made(`${at}`, at)
  tally.arrived('0', 10)
  for (const mark of ['50', '100', '150']) tally.arrived(mark, 460)
  tally.arrived('200', 700)
  t.equal(tally.gap, 400)
  const late = new Tally(50)
  late.made('0', 1_000)
  late.arrived('0', 1_300)
  t.equal(late.gap, 250, 'from the first that was made on')
})

test('what never came is lost, what came again is a duplicate, and strangers count for nothing', async (t) => {
  const tally = new Tally(50)
  for (const mark of ['a', 'b', 'c']) tally.made(mark, 0)
  for (const mark of ['a', 'a', 'a', 'b', 'stranger']) tally.arrived(mark, 1)
  t.match(figures(tally), { count: 3, lost: 1, duplicated: 2 })
})

test('of a channel that was read anew counts what is on it now', async (t) => {
  const tally = new Tally(50)
  for (const mark of ['a', 'b', 'c']) tally.made(mark, 0)
  for (const mark of ['a', 'b']) tally.arrived(mark, 1)
  tally.reset()
  for (const mark of ['b', 'c', 'c']) tally.arrived(mark, 2)
  t.match(figures(tally), { lost: 1, duplicated: 1 }, 'a is gone, and c is there twice')
})
