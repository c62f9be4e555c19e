import t from 'tap'
import { MIN_PAYLOAD, readStamp, StampWriter } from '../../../demo/load/stamp.ts'

const stamp = { publisher: 7, sequence: 123, due: 4_567_890 }

t.test('a message is JSON of just so many bytes, and tells its stamp', async (t) => {
  for (const payload of [MIN_PAYLOAD, 128, 5_000]) {
    const text = new StampWriter('0a1b2c3d', payload, undefined).write(stamp)
    t.equal(Buffer.byteLength(text), payload)
    t.same(readStamp(JSON.parse(text), '0a1b2c3d'), stamp)
    t.equal(readStamp(JSON.parse(text), 'another'), undefined)
  }
})

t.test('the longest stamp fits into the shortest message', async (t) => {
  const longest = { publisher: 999_999, sequence: 10 ** 12, due: 86_400_000_000 }
  const text = new StampWriter('0a1b2c3d', MIN_PAYLOAD, undefined).write(longest)
  t.equal(text.length, MIN_PAYLOAD)
  t.same(readStamp(JSON.parse(text), '0a1b2c3d'), longest)
})

t.test('a message of somebody’s own', async (t) => {
  const text = new StampWriter('r', 128, { points: [1, 2], colour: 'red' }).write(stamp)
  t.match(JSON.parse(text), { points: [1, 2], colour: 'red' })
  t.same(readStamp(JSON.parse(text), 'r'), stamp)
  t.same(Object.keys(JSON.parse(new StampWriter('r', 128, {}).write(stamp))), ['load'])
})

t.test('what is no message of ours has none', async (t) => {
  for (const other of [null, undefined, 3, 'text', {}, { load: 1 }, { load: ['r', 'a', 0, 0] }, { load: ['r', 1] }]) {
    t.equal(readStamp(other, 'r'), undefined, JSON.stringify(other))
  }
})
