import t from 'tap'
import { linearScale, logScale, timeScale } from '../../../../../demo/load/output/report/scale.ts'

t.test('linear: from 0 to a round number', async (t) => {
  t.same(linearScale(87).ticks, [0, 50, 100])
  t.same(linearScale(1000).ticks, [0, 500, 1000])
  t.same(linearScale(0).ticks, [0, 1])
  const scale = linearScale(80)
  t.same([scale.at(0), scale.at(20), scale.at(80), scale.at(999)], [0, 0.25, 1, 1])
})

t.test('logarithmic: each decade as long as the next', async (t) => {
  t.same(logScale(1.3, 40).ticks, [1, 2, 5, 10, 20, 50])
  t.same(logScale(0.06, 2000).ticks.map(String), ['0.1', '1', '10', '100', '1000'])
  const scale = logScale(1, 100)
  t.same([scale.at(1), scale.at(10), scale.at(100)], [0, 0.5, 1])
  t.same([scale.at(0.001), scale.at(5000)], [0, 1])
  t.equal(logScale(3, 3).ticks.length > 1, true, 'a single value has room around it')
})

t.test('time: whole steps that people count in', async (t) => {
  t.same(timeScale(12).ticks, [0, 2, 4, 6, 8, 10, 12])
  t.same(timeScale(90).ticks, [0, 15, 30, 45, 60, 75, 90])
  t.same(
    timeScale(0.5).ticks.map((tick) => Math.round(tick * 10) / 10),
    [0, 0.1, 0.2, 0.3, 0.4, 0.5]
  )
  t.ok(timeScale(80_000).ticks.length <= 7)
})
