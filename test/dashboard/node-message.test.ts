import { test } from 'tap'
import { isAsk, type NodeMessage, readMessage, writeMessage } from '../../lib/dashboard/node-message.ts'
import { snapshotOf } from './snapshot.ts'

const query = { view: 'channels', order: 'name', descending: false, search: '' } as const
const messages: NodeMessage[] = [
  { kind: 'ask', node: 'n', queries: [query], past: true },
  { kind: 'past', node: 'n', sentAt: 1, samples: [{ at: 1 }] },
  { kind: 'now', node: 'n', sentAt: 1, snapshot: snapshotOf() },
  { kind: 'table', node: 'n', query: 'q', total: 1, found: 1, rows: [] }
]

test('messages are written and read', async (t) => {
  for (const message of messages) {
    t.strictSame(readMessage(writeMessage(message)), message)
    t.equal(isAsk(writeMessage(message)), message.kind === 'ask', message.kind)
    // Whatever the order of its members was.
    t.equal(isAsk(writeMessage(Object.fromEntries(Object.entries(message).reverse()) as never)), message.kind === 'ask')
  }
})

test('anything else is no message', async (t) => {
  const wrong = [
    'no JSON',
    'null',
    '5',
    '{"kind":"ask","queries":[]}',
    '{"kind":"ask","node":"n"}',
    '{"kind":"table","node":"n"}',
    '{"kind":"past","node":"n","samples":[]}',
    '{"kind":"past","node":"n","sentAt":1,"samples":1}',
    '{"kind":"now","node":"n","sentAt":1,"snapshot":null}',
    '{"kind":"other","node":"n","sentAt":1}'
  ]
  for (const text of wrong) t.equal(readMessage(Buffer.from(text)), undefined, text)
  t.same(readMessage(Buffer.from('{"kind":"ask","node":"n","queries":[5]}')), {
    kind: 'ask',
    node: 'n',
    queries: [],
    past: false
  })
})
