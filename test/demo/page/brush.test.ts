import { test } from 'tap'
import { pageModule } from '../../support/page-module.ts'

const { outlineOf, boundsOf } = await pageModule('brush.js')

const line = (length: number, count: number) =>
  Array.from({ length: count }, (_, at) => [0.1 + (at / count) * length, 0.5]).flat()
const heightOf = (outline: [number, number][], from: number, to: number) => {
  const ys = outline.filter(([x]) => x > from && x < to).map(([, y]) => y)
  return Math.max(...ys) - Math.min(...ys)
}

test('the same points are the same outline, around all of them', async (t) => {
  const points = line(0.8, 40)
  t.same(outlineOf(points, 5), outlineOf(points, 5))
  const [left, top, right, bottom] = boundsOf(outlineOf(points, 5))
  t.ok(left >= 90 && left <= 101 && right >= 870 && right <= 892, `${left} ${right}`)
  t.ok(top < 375 && bottom > 375)
})

test('a slow hand draws broader than a fast one, and a broad pen broader than a fine one', async (t) => {
  const slow = outlineOf(line(0.4, 200), 10)
  const fast = outlineOf(line(0.4, 12), 10)
  t.ok(heightOf(slow, 250, 350) > heightOf(fast, 250, 350) * 1.2)
  t.ok(heightOf(slow, 250, 350) > heightOf(outlineOf(line(0.4, 200), 2.5), 250, 350) * 3)
})

test('a dot is a dot, also half of one', async (t) => {
  const [left, top, right, bottom] = boundsOf(outlineOf([0.5, 0.5], 10))
  t.ok(right - left > 3 && bottom - top > 3)
  t.ok(left < 500 && right > 500 && top < 375 && bottom > 375)
  t.same(outlineOf([0.5, 0.5, 0.7], 10), outlineOf([0.5, 0.5], 10))
})
