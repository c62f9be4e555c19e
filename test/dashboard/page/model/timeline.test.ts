import { test } from 'tap'
import type { Snapshot } from '../../../../lib/dashboard/messages.ts'
import { WINDOW } from '../../../../lib/dashboard/page/model/cluster.ts'
import { level, percentiles, rate, tally, total } from '../../../../lib/dashboard/page/model/timeline.ts'
import { START, scene } from './scene.ts'

const sent = (figures: Snapshot) => figures.sent
const tail = <T>(values: readonly T[], count: number) => values.slice(-count)

test('lines: a figure holds for three seconds, and a little before its first', async (t) => {
  const { take, frame, goTo } = scene()
  for (const second of [0, 1, 3]) take('1', second, { sent: second * 10 })
  goTo(8_500)
  const { seconds, tracks } = frame()
  t.equal(seconds.length, WINDOW)
  t.equal(seconds.at(-1), START / 1000 + 8)
  const [track] = tracks
  if (track === undefined) throw new Error('no track')
  t.same(tail(level(track, sent), 13), [null, 0, 0, 0, 0, 10, 10, 30, 30, 30, null, null, null])
})

test('lines: the last of a node that has gone ends it at once', async (t) => {
  const { take, frame, goTo } = scene()
  take('1', 0, { sent: 0 })
  take('1', 1, { sent: 0, last: true })
  goTo(3_500)
  t.same(tail(level(frame().tracks[0] as never, sent), 4), [0, 0, null, null])
})

test('rates are over some seconds, from the first snapshot on, and never across a gap', async (t) => {
  const { take, frame, goTo } = scene()
  const counts = [0, 10, 20, 30, 70]
  for (const [second, count] of counts.entries()) take('1', second, { sent: count })
  for (const second of [60, 61]) take('1', second, { sent: 1000 + second })
  goTo(61_500)
  const line = rate(frame().tracks[0] as never, sent)
  t.same(tail(line, 62).slice(0, 5), [10, 10, 10, 10, 17.5])
  t.same(tail(line, 3), [1, 1, 1], 'not what came between')
  t.same(tail(line, 30).slice(0, 10), Array(10).fill(null))
})

test('sums: where none has a value, a gap', async (t) => {
  t.same(
    total([
      [1, null, null],
      [2, 3, null]
    ]),
    [3, 3, null]
  )
  t.same(total([]), [])
})

test('percentiles are over all nodes, and over the seconds before', async (t) => {
  const { take, frame, goTo } = scene()
  const bounds = [0.01, 0.1]
  const lag = (...counts: number[]) => ({ lag: { bounds, counts } })
  take('1', 0, lag(100, 100, 100))
  take('1', 1, lag(110, 110, 110))
  take('1', 5, lag(110, 110, 110))
  take('2', 0, lag(0, 0, 0))
  take('2', 1, lag(0, 10, 10))
  take('2', 5, lag(0, 10, 10))
  goTo(5_500)
  const read = (figures: Snapshot) => figures.lag
  const [half, all] = percentiles(frame(), read, { shares: [0.5, 1], width: 3 })
  t.same([half?.at(-5), all?.at(-5)], [0.01, 0.1], 'ten at most 10 ms, ten at most 100 ms; none of the hundred before')
  t.equal(half?.at(-1), null, 'and nothing in the last seconds')
  const [longer] = percentiles(frame(), ({ lag }) => lag, { shares: [0.5], width: 10 })
  t.equal(longer?.at(-1), 0.01)
})

test('tallies: in the window and in all, the most frequent first', async (t) => {
  const { take, frame, goTo } = scene()
  take('1', 0, { closes: { 1000: 5, 1006: 1 } })
  take('1', 1, { closes: { 1000: 6, 1006: 4 } })
  take('2', 1, { closes: { 1012: 7 } })
  goTo(1_500)
  t.same(
    tally(frame(), (figures) => figures.closes),
    [
      { name: '1006', recent: 3, all: 4 },
      { name: '1000', recent: 1, all: 6 },
      { name: '1012', recent: 0, all: 7 }
    ]
  )
})

test('one snapshot gives no rate, no percentile, and a tally', async (t) => {
  const { take, frame, goTo } = scene()
  take('1', 0, { sent: 5, closes: { 1000: 5 } })
  take('2', -620, { closes: { 1000: 1, 1006: 6 } })
  goTo(500)
  const { seconds, tracks } = frame()
  t.equal(rate(tracks[0] as never, sent).at(-1), null)
  t.equal(percentiles({ seconds, tracks }, ({ lag }) => lag, { shares: [0.5], width: 5 })[0]?.at(-1), null)
  t.same(
    tally({ seconds, tracks }, ({ closes }) => closes),
    [
      { name: '1000', recent: 0, all: 6 },
      { name: '1006', recent: 0, all: 6 }
    ]
  )
  take('3', 0, { closes: {} })
  take('3', 1, { closes: { 1006: 5, 1002: 5, 1001: 5 } })
  t.same(
    tally(frame(), ({ closes }) => closes).map(({ name }) => name),
    ['1006', '1001', '1002', '1000']
  )
})
