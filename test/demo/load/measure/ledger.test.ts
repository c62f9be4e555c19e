import t from 'tap'
import { Ledger, type Receipt } from '../../../../demo/load/measure/ledger.ts'
import type { Publisher } from '../../../../demo/load/measure/publisher.ts'

/** A ledger with one group of one publisher and so many subscribers, who are due so many messages. */
function stage(subscribers: number, messages: number) {
  const ledger = new Ledger()
  const [publisher] = ledger.addPublishers(0, 1) as [Publisher]
  const receipts = Array.from({ length: subscribers }, () => ledger.addSubscriber(0))
  for (let sent = 0; sent < messages; sent++) publisher.next()
  const give = (to: number, ...sequences: number[]) => {
    for (const sequence of sequences) {
      ledger.receive(receipts[to] as Receipt, { publisher: publisher.index, sequence, due: 0 })
    }
  }
  return { ledger, publisher, receipts, give }
}

t.test('all that was due came, in order', async (t) => {
  const { ledger, give } = stage(2, 3)
  give(0, 0, 1, 2)
  give(1, 0, 1)
  t.notOk(ledger.isComplete())
  give(1, 2)
  t.ok(ledger.isComplete())
  t.match(ledger.totals(), { published: 3, expected: 6, delivered: 6, lost: 0, duplicated: 0, outOfOrder: 0 })
})

t.test('a gap, a tail and what nobody got are lost', async (t) => {
  const { ledger, give } = stage(2, 5)
  give(0, 0, 1, 3)
  give(1, 0, 1, 2, 3)
  t.notOk(ledger.isComplete())
  // 2 and 4 for the first, 4 for the second.
  t.match(ledger.totals(), { published: 5, expected: 10, delivered: 7, lost: 3 })
})

t.test('what comes late is not lost, and what comes again is not a delivery', async (t) => {
  const { ledger, give } = stage(1, 4)
  give(0, 0, 2, 1, 1, 3, 3, 0)
  t.match(ledger.totals(), { delivered: 4, lost: 0, duplicated: 3, outOfOrder: 1 })
})

t.test('what was refused is due to nobody, unless somebody got it', async (t) => {
  const { ledger, publisher, give } = stage(2, 3)
  publisher.refused(0)
  publisher.refused(1)
  give(0, 1, 2)
  give(1, 2)
  t.match(ledger.totals(), { published: 2, refused: 1, expected: 4, delivered: 3, lost: 1 })
})

t.test('an error that does not say about what is about one of those without an answer', async (t) => {
  const { ledger, publisher, give } = stage(1, 4)
  give(0, 0, 2)
  publisher.refusedOne()
  t.match(ledger.totals(), { published: 3, refused: 1, lost: 1 })
  publisher.refusedOne()
  publisher.refusedOne()
  t.match(ledger.totals(), { published: 2, refused: 2, lost: 0 })
  t.ok(ledger.isComplete())
})

t.test('what was cut off without an answer is not lost; where one got it, all must', async (t) => {
  const { ledger, publisher, give } = stage(2, 2)
  publisher.published(0)
  publisher.interrupted()
  give(0, 0)
  give(1, 0)
  t.match(ledger.totals(), { published: 1, unconfirmed: 1, lost: 0 })
  give(0, 1)
  t.match(ledger.totals(), { published: 2, unconfirmed: 0, lost: 1 })
  publisher.next()
  publisher.published(2)
  give(0, 2)
  give(1, 1, 2)
  t.match(ledger.totals(), { published: 3, lost: 0, outOfOrder: 0 })
})

t.test('who left for good is due what it skipped, and nothing after', async (t) => {
  const { ledger, receipts, give } = stage(2, 4)
  give(0, 0, 1, 2, 3)
  give(1, 0, 2)
  receipts[1]?.end()
  t.match(ledger.totals(), { delivered: 6, lost: 1 })
})

t.test('a message on a channel of another publisher is misdirected, and so is one that was never sent', async (t) => {
  const ledger = new Ledger()
  const [here] = ledger.addPublishers(7, 2) as [Publisher, Publisher]
  const [there] = ledger.addPublishers(8, 1) as [Publisher]
  const receipt = ledger.addSubscriber(7)
  const elsewhere = ledger.addSubscriber(9)
  here.next()
  there.next()
  t.ok(ledger.receive(receipt, { publisher: here.index, sequence: 0, due: 0 }))
  t.notOk(ledger.receive(receipt, { publisher: there.index, sequence: 0, due: 0 }))
  t.notOk(ledger.receive(receipt, { publisher: here.index, sequence: 1, due: 0 }))
  t.notOk(ledger.receive(receipt, { publisher: 99, sequence: 0, due: 0 }))
  t.notOk(ledger.receive(elsewhere, { publisher: here.index, sequence: 0, due: 0 }))
  t.match(ledger.totals(), { delivered: 1, misdirected: 4, lost: 0 })
})

t.test('more messages than it was made for', async (t) => {
  const { ledger, publisher, give } = stage(1, 5_000)
  give(0, ...Array.from({ length: 5_000 }, (_, sequence) => sequence))
  t.equal(publisher.sent, 5_000)
  t.match(ledger.totals(), { published: 5_000, delivered: 5_000, lost: 0 })
})
