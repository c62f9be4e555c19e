import { test } from 'tap'
import { pageModule } from '../../support/page-module.ts'

const { Layers } = await pageModule('layers.js')

const runs = (count: number, from = 0) => Array.from({ length: count }, (_, at) => ({ at: from + at }))

test('a line is drawn with every frame while it grows, and once when it is finished', async (t) => {
  const layers = new Layers()
  const [a, b] = runs(2)
  t.same(layers.take([a], 0), { isNew: true, settled: [], growing: [a] })
  t.same(layers.take([a, b], 1_499), { isNew: true, settled: [], growing: [a, b] })
  t.same(layers.take([a, b], 1_500), { isNew: true, settled: [a], growing: [b] })
  t.same(layers.take([a, b], 1_600), { isNew: false, settled: [], growing: [b] })
  t.same(layers.take([a, b], 9_000), { isNew: false, settled: [b], growing: [] })
})

test('of a board that is opened all lines are finished, but for the last', async (t) => {
  const layers = new Layers()
  const board = runs(500)
  const { isNew, settled, growing } = layers.take(board, 0)
  t.ok(isNew)
  t.same([settled.length, growing.length], [476, 24])
  t.equal(growing[0], board[476])
  const more = [...board, ...runs(1, 500)]
  t.match(layers.take(more, 10), { isNew: false, settled: { length: 1 }, growing: { length: 24 } })
})

test('a finished line that changes, or is taken back, begins the picture again', async (t) => {
  const layers = new Layers()
  const [a, b, c] = runs(3)
  layers.take([a, b], 0)
  layers.take([a, b], 2_000)
  const longer = { at: 0 }
  t.same(layers.take([longer, b], 2_100), { isNew: true, settled: [], growing: [longer, b] }, 'b lies over it')
  t.same(layers.take([longer, b], 4_000), { isNew: true, settled: [longer, b], growing: [] })
  t.same(layers.take([b, c], 4_100), { isNew: true, settled: [b], growing: [c] })
  layers.forget()
  t.same(layers.take([b, c], 4_200), { isNew: true, settled: [b], growing: [c] }, 'the window moved')
})
