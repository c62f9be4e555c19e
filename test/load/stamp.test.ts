import { test } from 'tap'
import { MIN_PAYLOAD, readStamp, stampWriter } from '../../lib/load/stamp.ts'

const stamp = { publisher: 3, sequence: 7, due: 1234.5 }

test('a message has the requested size, and is read back', async (t) => {
  for (const payload of [MIN_PAYLOAD, 500]) {
    const text = stampWriter('abcd', payload)(stamp)
    t.equal(text.length, payload)
    t.same(readStamp(JSON.parse(text), 'abcd'), stamp)
  }
})

test('a message of the application keeps its members', async (t) => {
  t.same(JSON.parse(stampWriter('abcd', 500, { points: [0] })(stamp)).points, [0])
  t.equal(stampWriter('abcd', 500, {})(stamp), '{"load":["abcd",3,7,1234.5]}')
})

test('messages of others have no stamp', async (t) => {
  for (const message of [
    undefined,
    null,
    'text',
    {},
    { load: 1 },
    { load: ['other', 1, 2, 3] },
    { load: ['r', '1'] }
  ]) {
    t.equal(readStamp(message, 'r'), undefined)
  }
})
