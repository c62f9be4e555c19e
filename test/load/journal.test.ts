import { test } from 'tap'
import { Journal } from '../../lib/load/journal.ts'
import { feed } from '../support/load-peer.ts'

test('ends are counted by what they are', async (t) => {
  const journal = new Journal('run', 0)
  for (const end of [{ code: 1006 }, { code: 1006 }, { status: 503 }, { reason: 'timeout' }]) journal.ended(end)
  t.same([journal.closes, journal.refusals, journal.failures], [{ 1006: 2 }, { 503: 1 }, { timeout: 1 }])
})

test('a storm ends when the last is back', async (t) => {
  const journal = new Journal('run', 0)
  const [first, second, other] = [{}, {}, {}]
  journal.returned(other)
  t.equal(journal.storm, null)
  journal.stormBegins(new Set([first, second]))
  journal.returned(other)
  journal.returned(first)
  t.same(journal.storm, { cut: 2, back: 1, milliseconds: null })
  journal.returned(second)
  t.match(journal.storm, { back: 2, milliseconds: Number })
  journal.returned(second)
  t.equal(journal.storm?.back, 2)
  t.equal(journal.reconnections, 5)
})

test('deliveries count once, and those to slow readers not in the latencies', async (t) => {
  const journal = new Journal('run', performance.now() - 100)
  const [publisher] = journal.ledger.addPublishers(1)
  publisher?.next()
  const [fast, slow] = [feed(), feed()]
  const message = { load: ['run', 0, 0, 0] }
  journal.received(fast, message, false)
  t.equal(journal.ledger.delivered, 0, 'nothing is due yet')
  fast.receipt = journal.ledger.addSubscriber([publisher as NonNullable<typeof publisher>])
  slow.receipt = journal.ledger.addSubscriber([publisher as NonNullable<typeof publisher>])
  journal.received(fast, message, false)
  journal.received(fast, message, false)
  journal.received(fast, { load: ['other', 0, 0, 0] }, false)
  journal.received(slow, message, true)
  t.match(journal.ledger.totals(), { delivered: 2, duplicated: 1 })
  t.equal(journal.latestLatency.count, 1)
  t.ok(journal.latestLatency.max >= 100_000)
  journal.left([fast, feed()])
  t.same([fast.receipt.ended, slow.receipt.ended], [true, false])
})

test('what else is counted', async (t) => {
  const journal = new Journal('run', 0)
  const [publisher] = journal.ledger.addPublishers(1)
  publisher?.next()
  journal.opened(5)
  for (const all of [true, false, false]) journal.recovered(all)
  journal.rejected('103', publisher, 0)
  journal.rejected('unknown', undefined)
  t.match(journal, {
    everOpened: 1,
    recoveries: { recovered: 1, notRecovered: 2 },
    rejections: { 103: 1, unknown: 1 }
  })
  t.match(journal.ledger.totals(), { refused: 1 })
})
