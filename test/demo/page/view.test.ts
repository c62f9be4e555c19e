import { type Test, test } from 'tap'
import { pageModule } from '../../support/page-module.ts'

const { View, WIDTH, HEIGHT } = await pageModule('view.js')

const FREE = { left: 0, top: 60, width: 1024, height: 774 }

function close(t: Test, found: number[], wanted: number[]): void {
  for (const [at, value] of found.entries()) t.ok(Math.abs(value - (wanted[at] as number)) < 0.11, `${found}`)
}

test('the sheet is in the middle of what is free, and follows the window', async (t) => {
  const view = new View()
  let changes = 0
  view.addEventListener('change', () => changes++)
  view.fit(FREE)
  t.equal(view.scale, 1)
  close(t, view.pointOf([0, 0]), [12, 72])
  close(t, view.pointOf([1, 1]), [12 + WIDTH, 72 + HEIGHT])
  t.same(view.placeOf(512, 447), [0.5, 0.5])
  view.fit({ left: 0, top: 0, width: 390, height: 500 })
  t.equal(view.zoom, 1)
  t.equal(view.scale, 366 / WIDTH)
  t.equal(changes, 2)
  view.fit({ left: 0, top: 0, width: 390, height: 500 })
  t.equal(changes, 2, 'the same again')
})

test('a place under the hand stays there: moved, zoomed, and back', async (t) => {
  const view = new View()
  view.fit(FREE)
  view.pan(100, -50)
  t.notOk(view.isHome)
  close(t, view.pointOf([0, 0]), [112, 22])
  const place = view.placeOf(300, 300)
  view.zoomAt(2, 300, 300)
  close(t, view.pointOf(place), [300, 300])
  t.equal(view.zoom, 2)
  view.fit({ left: 0, top: 0, width: 500, height: 500 })
  close(t, view.pointOf(place), [300, 300])
  for (let i = 0; i < 30; i++) view.zoomBy(0.5)
  t.ok(view.zoom >= 0.0999)
  for (let i = 0; i < 60; i++) view.zoomBy(2)
  t.ok(view.zoom <= 8.001)
  view.home()
  t.ok(view.isHome)
  t.equal(view.zoom, 1)
})

test('a board has no edges, but for those that the server sets', async (t) => {
  const view = new View()
  view.fit(FREE)
  t.same(view.placeOf(12 - 3 * WIDTH, 72 + 2 * HEIGHT), [-3, 2])
  t.same(view.placeOf(1e9, -1e9), [100, -100])
  t.same(view.placeOf(12 + WIDTH / 3, 72), [0.3333, 0])
})

test('a crosshair that leaves the window takes it along', async (t) => {
  const view = new View()
  view.fit(FREE)
  view.reveal([0.5, 0.5])
  t.ok(view.isHome, 'it is in sight')
  view.reveal([2, 0.5])
  close(t, view.pointOf([2, 0.5]), [1012, 447])
})
