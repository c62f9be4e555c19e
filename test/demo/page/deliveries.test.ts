import { test } from 'tap'
import { pageModule } from '../../support/page-module.ts'

const { Deliveries } = await pageModule('deliveries.js')

test('a gap is a pause while deliveries are expected, on each connection', async (t) => {
  const deliveries = new Deliveries(['you', 'guide'])
  deliveries.arrived('you', 0)
  t.same(deliveries.gaps('you', 5_000), [], 'nobody draws: no gap')
  deliveries.begin(10_000)
  t.same(deliveries.gaps('you', 11_000), [], 'nor before the first mark')
  for (let at = 10_000; at <= 12_000; at += 50) {
    if (at <= 10_500 || at >= 11_100) deliveries.arrived('you', at)
    deliveries.arrived('guide', at)
  }
  deliveries.arrived('nobody', 12_000)
  t.same(deliveries.gaps('you', 12_100), [{ from: 10_500, to: 11_100 }])
  t.same(deliveries.gaps('guide', 12_100), [])
  t.same(deliveries.gaps('guide', 13_000), [{ from: 12_000, to: 13_000 }], 'one that goes on')
  t.same([deliveries.longest('you', 12_100), deliveries.longest('guide', 12_100)], [600, 0])
  deliveries.end(12_100)
  t.same(deliveries.gaps('guide', 20_000), [], 'and no more')
})

test('the strip shows the last while, or all of what is being broken, and that for a minute more', async (t) => {
  const deliveries = new Deliveries(['you'])
  t.equal(deliveries.start(50_000), 30_000)
  deliveries.begin(50_000)
  deliveries.mark('restart', 'restart of all workers', 50_400)
  t.ok(deliveries.isExpecting)
  t.equal(deliveries.start(60_000), 40_000)
  t.equal(deliveries.start(100_000), 49_000)
  deliveries.end(101_000)
  t.notOk(deliveries.isExpecting)
  t.equal(deliveries.start(140_000), 49_000)
  t.ok(deliveries.trim(140_000))
  t.equal(deliveries.marks.length, 1)
  t.equal(deliveries.start(170_000), 150_000)
  t.notOk(deliveries.trim(170_000))
  t.same(deliveries.marks, [])
})

test('what has left the strip is forgotten', async (t) => {
  const deliveries = new Deliveries(['you'])
  for (const at of [0, 10_000, 30_000]) deliveries.arrived('you', at)
  t.ok(deliveries.trim(35_000))
  t.same(deliveries.arrivals('you'), [30_000])
  t.notOk(deliveries.trim(60_000))
  t.same(deliveries.arrivals('you'), [])
  t.same(deliveries.arrivals('nobody'), [])
})
