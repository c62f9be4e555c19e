import { test } from 'tap'
import type { LoadClient } from '../../lib/load/client.ts'
import type { Outgoing } from '../../lib/load/journal.ts'
import { Publisher } from '../../lib/load/ledger.ts'
import { sendAll } from '../../lib/load/sender.ts'
import type { Stamp } from '../../lib/load/stamp.ts'
import { feed } from '../support/load-peer.ts'

const signal = new AbortController().signal
const write = (stamp: Stamp) => JSON.stringify(stamp)

function outlets(count: number) {
  const sent: Outgoing[] = []
  const client = { send: (message: Outgoing) => sent.push(message) } as unknown as LoadClient
  const all = Array.from({ length: count }, (_, at) => ({ publisher: new Publisher(at), client, feed: feed() }))
  return { all, sent }
}

test('messages are due at fixed times, and publishers take turns', async (t) => {
  const { all, sent } = outlets(2)
  await sendAll(all, write, performance.now(), { rate: 1000, duration: 20, messages: Number.POSITIVE_INFINITY }, signal)
  const stamps: Stamp[] = sent.map(({ text }) => JSON.parse(text))
  t.same(
    stamps.map(({ publisher, sequence }) => [publisher, sequence]),
    Array.from({ length: 20 }, (_, at) => [at % 2, at >> 1])
  )
  const gaps = stamps.slice(1).map(({ due }, at) => due - (stamps[at]?.due ?? 0))
  t.ok(
    gaps.every((gap) => Math.abs(gap - 1000) <= 1),
    'however late the timer was'
  )
})

test('it ends with the number of messages, or with the time', async (t) => {
  const { all, sent } = outlets(1)
  const start = performance.now()
  await sendAll(all, write, start, { rate: 1000, duration: 600_000, messages: 3 }, signal)
  t.equal(sent.length, 3)
  await sendAll(all, write, start, { rate: 0, duration: 10, messages: Number.POSITIVE_INFINITY }, signal)
  await sendAll([], write, start, { rate: 100, duration: 10, messages: 100 }, signal)
  t.equal(sent.length, 3)
  await sendAll(all, write, start, { rate: 0.001, duration: 600_000, messages: 100 }, AbortSignal.abort())
  t.equal(sent.length, 4)
})
