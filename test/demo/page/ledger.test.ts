import { test } from 'tap'
import { pageModule } from '../../support/page-module.ts'

const { Ledger } = await pageModule('ledger.js')

const LATE = 20_001

test('each piece must come to each connection that watches, once', async (t) => {
  const ledger = new Ledger()
  ledger.join('you')
  ledger.join('guide')
  ledger.drawn('a.0', 0)
  ledger.drawn('a.1', 0)
  t.same(ledger.totals(0), { made: 2, underway: 4, lost: 0, doubled: 0 })
  for (const id of ['a.0', 'a.1']) {
    ledger.sent(id, 10)
    ledger.arrived('you', id)
    ledger.arrived('guide', id)
  }
  ledger.arrived('you', 'of somebody else')
  t.same(ledger.totals(LATE), { made: 2, underway: 0, lost: 0, doubled: 0 })
  ledger.arrived('guide', 'a.1')
  t.match(ledger.totals(LATE), { doubled: 1 })
})

test('what the server has and a connection does not get is lost, after a while; what waits to be sent is not', async (t) => {
  const ledger = new Ledger()
  ledger.join('you')
  ledger.join('guide')
  ledger.drawn('offline.0', 0)
  ledger.drawn('sent.0', 0)
  ledger.sent('sent.0', 100)
  ledger.arrived('you', 'sent.0')
  t.match(ledger.totals(LATE), { lost: 0, underway: 3 })
  t.match(ledger.totals(100 + LATE), { lost: 1, underway: 2 })
  ledger.arrived('guide', 'sent.0')
  t.match(ledger.totals(100 + LATE), { lost: 0, underway: 2 })
  ledger.givenUp('offline.0')
  ledger.givenUp('offline.0')
  t.match(ledger.totals(100 + LATE), { made: 1, lost: 0, underway: 0 })
})

test('a board that is read again brings all of its pieces again; those that are missing then are lost', async (t) => {
  const ledger = new Ledger()
  ledger.join('you')
  for (const id of ['a.0', 'b.0']) {
    ledger.drawn(id, 0)
    ledger.sent(id, 0)
    ledger.arrived('you', id)
  }
  ledger.reset('you')
  ledger.arrived('you', 'a.0')
  t.match(ledger.totals(LATE), { lost: 0, underway: 1, doubled: 0 }, 'not before it is read')
  ledger.ready('you')
  t.match(ledger.totals(LATE), { lost: 1, underway: 0, doubled: 0 })
})

test('a connection that leaves is asked no more, and its faults stay in the counts', async (t) => {
  const ledger = new Ledger()
  ledger.join('guide')
  for (const id of ['a.0', 'a.1', 'a.2']) {
    ledger.drawn(id, 0)
    ledger.sent(id, 0)
  }
  ledger.arrived('guide', 'a.0')
  ledger.arrived('guide', 'a.0')
  ledger.leave('guide', LATE)
  ledger.leave('guide', LATE)
  t.same(ledger.totals(LATE), { made: 3, underway: 0, lost: 2, doubled: 1 })
  ledger.drawn('b.0', LATE)
  for (const change of ['reset', 'ready']) ledger[change]('guide')
  t.match(ledger.totals(LATE), { made: 4, underway: 0 })
  ledger.clear()
  t.same(ledger.totals(LATE), { made: 0, underway: 0, lost: 0, doubled: 0 })
})

test('of a long evening it keeps the last pieces, and the counts', async (t) => {
  const ledger = new Ledger()
  ledger.join('you')
  for (let at = 0; at < 3_000; at++) {
    ledger.drawn(`a.${at}`, at)
    ledger.sent(`a.${at}`, at)
    if (at !== 7) ledger.arrived('you', `a.${at}`)
    if (at === 9) ledger.arrived('you', 'a.9')
  }
  t.same(
    ledger.totals(3_000 + LATE),
    { made: 3_000, underway: 0, lost: 0, doubled: 1 },
    'a.7 was dropped while it was under way'
  )
})
