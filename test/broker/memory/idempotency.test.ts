import t from 'tap'
import { MemoryIdempotency } from '../../../lib/broker/memory/idempotency.ts'

const RESULT = { offset: 3, epoch: 'e', duplicate: false }
const DATA = Buffer.from('{"a":1}')

t.test('what was answered is answered again, as a duplicate', async (t) => {
  const answers = new MemoryIdempotency()
  t.equal(answers.recall('room', 'k', DATA, 0), undefined)
  answers.remember('room', 'k', DATA, RESULT, 100)
  t.strictSame(answers.recall('room', 'k', Buffer.from(DATA), 99), { ...RESULT, duplicate: true })
  t.equal(answers.recall('room', 'k', DATA, 100), undefined, 'for so long')
  t.equal(answers.recall('room', 'other', DATA, 0), undefined)
  t.equal(answers.recall('hall', 'k', DATA, 0), undefined, 'the key is the channel’s')
})

t.test('a key that comes with other data is refused', async (t) => {
  const answers = new MemoryIdempotency()
  answers.remember('room', 'k', DATA, RESULT, 100)
  t.throws(() => answers.recall('room', 'k', Buffer.from('{"a":2}'), 0), { code: 'FST_RT_CONFLICT' })
  t.equal(answers.recall('room', 'k', Buffer.from('{"a":2}'), 100), undefined, 'until it is forgotten')
})

t.test('no channel and key are taken for others that read the same together', async (t) => {
  const answers = new MemoryIdempotency()
  answers.remember('a', 'b\nc', DATA, RESULT, 100)
  t.equal(answers.recall('a', 'b', DATA, 0), undefined)
  t.equal(answers.recall('ab', 'c', DATA, 0), undefined)
  t.match(answers.recall('a', 'b\nc', DATA, 0), { duplicate: true })
})

t.test('none is forgotten before its time, and its bytes are counted until then', async (t) => {
  const answers = new MemoryIdempotency()
  for (const key of ['a', 'b', 'a']) answers.remember('room', key, DATA, RESULT, 100)
  t.equal(answers.size, 2)
  const { bytes } = answers
  answers.remember('room', 'a key that is longer', DATA, RESULT, 100)
  t.ok(answers.bytes > bytes * 1.5, 'by its length')
  answers.makeRoom(99)
  t.equal(answers.size, 3)
  answers.makeRoom(100)
  t.strictSame([answers.size, answers.bytes], [0, 0])
})

t.test('each publish makes room for more than itself', async (t) => {
  const answers = new MemoryIdempotency()
  for (let n = 0; n < 10; n++) answers.remember('room', `${n}`, DATA, RESULT, 100)
  answers.makeRoom(100)
  t.equal(answers.size, 6)
})

t.test('a sweep looks at so many of the oldest, and drops whose time is over', async (t) => {
  const answers = new MemoryIdempotency()
  for (const [key, expiresAt] of Object.entries({ a: 100, b: 300, c: 100, d: 100 })) {
    answers.remember('room', key, DATA, RESULT, expiresAt)
  }
  answers.sweep(99, 10)
  t.equal(answers.size, 4)
  answers.sweep(100, 3)
  t.equal(answers.size, 2, 'a and c; d was not looked at')
  answers.sweep(100, 0)
  t.equal(answers.size, 2)
  answers.sweep(100, 10)
  t.match(answers.recall('room', 'b', DATA, 100), { duplicate: true })
  t.equal(answers.size, 1)
})
