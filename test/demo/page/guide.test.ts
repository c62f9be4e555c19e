import { test } from 'tap'
import { pageModule } from '../../support/page-module.ts'

const { mayPlay } = await pageModule('guide.js')
const { guidePicture, guideRibbon } = await pageModule('guide-picture.js')

const me = { client: 'c1', user: 'Ada' }
const guide = { client: 'c2', user: 'Guide' }

test('the guide draws for a visitor who is alone, over nothing but lines of its own', async (t) => {
  const self = 'c1'
  t.ok(mayPlay({ lines: [], clients: [me], self }))
  t.ok(mayPlay({ lines: [], clients: [me, guide], self }), 'another tab has one')
  t.ok(mayPlay({ lines: [{ user: 'Guide' }], clients: [me], self }))
  t.notOk(mayPlay({ lines: [{ user: 'Ada' }], clients: [me], self }))
  t.notOk(mayPlay({ lines: [{ user: 'Guide' }, { user: undefined }], clients: [me], self }))
  t.notOk(mayPlay({ lines: [], clients: [me, { client: 'c3', user: 'Ada' }], self }))
})

test('its picture is on the sheet, and done in ten seconds', async (t) => {
  const gestures: { seconds: number; points: [number, number][] }[] = guidePicture()
  for (const [x, y] of gestures.flatMap(({ points }) => points)) t.ok(x > 0.05 && x < 0.95 && y > 0.05 && y < 0.95)
  const seconds = gestures.reduce((sum, gesture) => sum + gesture.seconds + 0.15, 0)
  t.ok(seconds < 10, `${seconds}`)
})

test('its ribbon goes on and on, and stays below the picture', async (t) => {
  for (let part = 0; part < 100; part += 0.1) {
    const [x, y] = guideRibbon(part)
    t.ok(x > 0.05 && x < 0.95 && y > 0.87 && y < 0.97)
  }
})
