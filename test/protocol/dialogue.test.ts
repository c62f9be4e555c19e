import t from 'tap'
import { dialogueOf, failureMessage, keyedOf, replyMessage, requestMessage } from '../../lib/protocol/dialogue.ts'

t.test('requests and replies have exactly two keys, and a whole number as id', async (t) => {
  const dialogues = [
    { id: 1, request: null },
    { request: { a: 1 }, id: 0 },
    { id: -4, reply: [] },
    { id: 2, error: 'e' }
  ]
  for (const value of dialogues) t.equal(dialogueOf(value), value)
  const others = [
    null,
    1,
    'id',
    [1, 2],
    {},
    { id: 1 },
    { id: 1, request: 1, more: 1 },
    { id: '1', request: 1 },
    { id: 1.5, request: 1 },
    { id: 2 ** 60, request: 1 },
    { id: 1, data: 1 },
    { ID: 1, request: 1 },
    { request: 1, reply: 1 }
  ]
  for (const value of others) t.equal(dialogueOf(value), undefined, JSON.stringify(value))
})

t.test('keyed messages have exactly a key and a message', async (t) => {
  const keyed = { key: 'k', message: null }
  t.equal(keyedOf(keyed), keyed)
  const others = [
    null,
    1,
    ['key', 'message'],
    {},
    { key: 'k' },
    { key: 1, message: 2 },
    { key: 'k', message: 1, more: 1 }
  ]
  for (const value of others) t.equal(keyedOf(value), undefined, JSON.stringify(value))
  t.equal(keyedOf({ key: 'k', text: 1 }), undefined)
})

t.test('what is written is read', async (t) => {
  t.same(dialogueOf(JSON.parse(requestMessage(3, '{"a":1}'))), { id: 3, request: { a: 1 } })
  t.same(dialogueOf(JSON.parse(replyMessage(3, 'null'))), { id: 3, reply: null })
  t.same(dialogueOf(JSON.parse(failureMessage(3, { code: 'x' }))), { id: 3, error: { code: 'x' } })
})
