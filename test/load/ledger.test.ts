import { test } from 'tap'
import { Ledger } from '../../lib/load/ledger.ts'

/** A ledger with one group: publishers, and subscribers. */
function group(publisherCount: number, subscribers: number) {
  const ledger = new Ledger()
  const publishers = ledger.addPublishers(publisherCount)
  const receipts = Array.from({ length: subscribers }, () => ledger.addSubscriber(publishers))
  const get = (at: number, publisher: number, sequence: number) =>
    ledger.receive(receipts[at] as (typeof receipts)[number], { publisher, sequence, due: 0 })
  return { ledger, publishers, receipts, get }
}

test('no loss, duplicate or delay hides another', async (t) => {
  const { ledger, publishers, get } = group(1, 2)
  for (let at = 0; at < 5; at++) publishers[0]?.next()
  for (const sequence of [0, 1, 2, 3, 4]) t.ok(get(0, 0, sequence))
  t.notOk(ledger.isComplete())
  t.ok(get(1, 0, 0))
  t.ok(get(1, 0, 3))
  t.ok(get(1, 0, 1), 'late')
  t.notOk(get(1, 0, 1), 'again')
  t.notOk(get(1, 0, 3), 'again')
  t.match(ledger.totals(), { published: 5, expected: 10, delivered: 8, lost: 2, duplicated: 2, outOfOrder: 1 })
  get(1, 0, 2)
  get(1, 0, 4)
  t.ok(ledger.isComplete())
})

test('a message for others, of nobody, or of the future is misdirected', async (t) => {
  const { ledger, publishers, get } = group(1, 1)
  ledger.addPublishers(1)
  publishers[0]?.next()
  t.notOk(get(0, 1, 0))
  t.notOk(get(0, 0, 1))
  t.notOk(ledger.receive(ledger.addSubscriber([]), { publisher: 0, sequence: 0, due: 0 }))
  t.match(ledger.totals(), { misdirected: 3, delivered: 0 })
})

test('refused and unconfirmed messages are due to nobody', async (t) => {
  const { ledger, publishers, get } = group(2, 1)
  const [first, second] = publishers
  for (let at = 0; at < 4; at++) first?.next()
  get(0, 0, 0)
  first?.refused(0)
  first?.refused(1)
  // It names no message: one of those that are open.
  first?.refused()
  first?.interrupted()
  t.match(ledger.totals(), { published: 1, refused: 2, unconfirmed: 1, lost: 0 })
  first?.next()
  second?.next()
  second?.refused()
  t.match(ledger.totals(), { published: 2, refused: 3, unconfirmed: 1, lost: 1 })
  get(0, 0, 3)
  t.match(ledger.totals(), { published: 3, unconfirmed: 0 }, 'it was published after all')
})

test('nothing after the last message is due to a subscriber that left', async (t) => {
  const { ledger, publishers, receipts, get } = group(1, 1)
  for (let at = 0; at < 3; at++) publishers[0]?.next()
  get(0, 0, 1)
  const [receipt] = receipts
  if (receipt) receipt.ended = true
  t.match(ledger.totals(), { lost: 1, expected: 2 })
})
