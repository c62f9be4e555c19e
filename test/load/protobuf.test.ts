import { readFileSync } from 'node:fs'
import protobuf from 'protobufjs'
import { test } from 'tap'
import { decodeReplies, encodeCommand } from '../../lib/load/protobuf.ts'

/* Against the reflection of protobuf.js over the protocol's definition. */
const file = new URL('../../lib/protocol/generated/client.proto', import.meta.url)
const { root } = protobuf.parse(readFileSync(file, 'utf8'), { keepCase: true })
const Command = root.lookupType('centrifugal.centrifuge.protocol.Command')
const Reply = root.lookupType('centrifugal.centrifuge.protocol.Reply')
const reply = (fields: object) => Buffer.from(Reply.encodeDelimited(Reply.fromObject(fields)).finish())

test('commands', async (t) => {
  const read = (command: object) => {
    const message = Command.decodeDelimited(encodeCommand(command))
    return Command.toObject(message, { longs: Number, bytes: String })
  }
  t.same(read({ id: 1, connect: { name: 'load' } }), { id: 1, connect: { name: 'load' } })
  const subscribe = { channel: 'ä', recover: true, epoch: 'e', offset: 2 ** 40 + 300 }
  t.same(read({ id: 300, subscribe }), { id: 300, subscribe })
  const data = Buffer.from('{"a":1}').toString('base64')
  t.same(read({ id: 2, publish: { channel: 'a', data: '{"a":1}' } }), { id: 2, publish: { channel: 'a', data } })
  t.same(encodeCommand({}), Buffer.of(0), 'the answer to a ping')
})

test('replies, several in one message', async (t) => {
  const data = Buffer.from('{"a":1}')
  const info = { user: 'u', client: 'c' }
  const bytes = Buffer.concat([
    reply({}),
    reply({ id: 1, connect: { client: 'x', ping: 25 } }),
    reply({ id: 2, error: { code: 103, message: 'permission denied' } }),
    reply({
      id: 3,
      subscribe: {
        epoch: 'e',
        offset: 2 ** 40,
        was_recovering: true,
        recovered: true,
        publications: [
          { data, offset: 1 },
          { data, offset: 2 }
        ]
      }
    }),
    reply({ push: { channel: 'a', pub: { data, offset: 3, info } } }),
    reply({ push: { channel: 'a', unsubscribe: { code: 2500 } } })
  ])
  t.same(decodeReplies(bytes), [
    {},
    { id: 1 },
    { id: 2, error: { code: 103 } },
    {
      id: 3,
      subscribe: {
        epoch: 'e',
        publications: [
          { data: { a: 1 }, offset: 1 },
          { data: { a: 1 }, offset: 2 }
        ],
        recovered: 1,
        offset: 2 ** 40,
        was_recovering: 1
      }
    },
    { push: { channel: 'a', pub: { data: { a: 1 }, offset: 3 } } },
    { push: { channel: 'a', unsubscribe: { code: 2500 } } }
  ])
})

test('what ends too early', async (t) => {
  t.throws(() => decodeReplies(Buffer.of(5, 1)), RangeError)
  t.throws(() => decodeReplies(Buffer.of(0x80)), RangeError)
})
