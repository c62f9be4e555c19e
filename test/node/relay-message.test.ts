import t from 'tap'
import { isRelayMessage, readRelayMessage, writeCommands, writeDelivery } from '../../lib/node/relay-message.ts'

const commands = { id: 'i1', from: 'n1', session: 'c.s', data: Buffer.from('{"a":"ä"}'), isBinary: false }

t.test('what is written is read', async (t) => {
  for (const isBinary of [false, true]) {
    const message = writeCommands({ ...commands, isBinary })
    t.ok(isRelayMessage(message))
    t.same(readRelayMessage(message), { commands: { ...commands, isBinary } })
  }
  t.same(readRelayMessage(writeDelivery('i1', 'full')), { id: 'i1', result: 'full' })
  t.notOk(isRelayMessage(Buffer.from('{"v":1}')))
})

t.test('anything else is refused', async (t) => {
  const good = { relay: 1, id: 'i1', from: 'n1', session: 's', text: '{}' }
  const read = (value: unknown) => readRelayMessage(Buffer.from(JSON.stringify(value)))
  t.ok(read(good))
  const bad = [
    { ...good, relay: 2 },
    { ...good, id: 'a b' },
    { ...good, from: 1 },
    { ...good, session: 1 },
    { ...good, session: 's'.repeat(200) },
    { ...good, text: undefined },
    { ...good, text: 'x'.repeat(70_000) },
    { ...good, text: 'x'.repeat(600_000) },
    { relay: 1, id: 'i1', result: 'what' }
  ]
  for (const value of bad) t.equal(read(value), undefined)
  t.equal(readRelayMessage(Buffer.from('{"relay":')), undefined)
})
