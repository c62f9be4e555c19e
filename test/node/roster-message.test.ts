import fc from 'fast-check'
import t from 'tap'
import { isId, readRosterMessage, writeAnswer, writeQuestion } from '../../lib/node/roster-message.ts'

const stats = { messagesIn: 1, messagesOut: 2, bytesIn: 3, bytesOut: 4, dropped: 5, rejected: 6, queued: 7, age: 8 }
const info = {
  id: 'c',
  user: 'u',
  route: '/',
  transport: 'websocket',
  roundTripTime: 1,
  bufferedAmount: 0,
  subscriptions: ['a'],
  stats
}
const read = (value: unknown) =>
  readRosterMessage(Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)))
const question = { id: 'q', from: 'n', after: '', limit: 1 }

t.test('what is written is read', async (t) => {
  for (const one of [question, { ...question, after: 'c', limit: 1_000 }]) {
    t.strictSame(readRosterMessage(writeQuestion(one)), { question: one })
  }
  t.strictSame(readRosterMessage(writeAnswer('q', [], false)), { id: 'q', answer: { connections: [], more: false } })
  t.strictSame(readRosterMessage(writeAnswer('q', [JSON.stringify(info)], true)), {
    id: 'q',
    answer: { connections: [info], more: true }
  })
  t.ok(isId('a-b_C1'))
})

t.test('what is malformed, or of another version, is nothing', async (t) => {
  const asked = { v: 1, ...question }
  const answer = { v: 1, id: 'q', connections: [info], more: false }
  t.ok(read(asked))
  t.ok(read(answer))
  for (const message of [
    '',
    '{',
    'null',
    '1',
    { ...asked, v: 2 },
    question,
    ...['', 'a b', 5, null, 'x'.repeat(65)].flatMap((id) => [
      { ...asked, id },
      { ...asked, from: id },
      { ...answer, id }
    ]),
    ...['a b', 5, null].map((after) => ({ ...asked, after })),
    ...[0, -1, 1.5, 1_001, '1', null].map((limit) => ({ ...asked, limit })),
    { ...answer, connections: [{}] },
    { ...answer, connections: [info, null] },
    { ...answer, connections: Array.from({ length: 1_001 }, () => info) },
    { ...answer, connections: [], more: true },
    { ...answer, more: 1 }
  ]) {
    t.equal(read(message), undefined, JSON.stringify(message)?.slice(0, 200))
  }
})

t.test('any bytes are read or dropped', async () => {
  fc.assert(fc.property(fc.oneof(fc.json(), fc.string()), (text) => void read(text)))
})
