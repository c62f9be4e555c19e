import t from 'tap'
import type { PublishContext } from '../../lib/options/hooks.ts'
import { protobufOverWebSocket } from '../../lib/session/encodings/client-format.ts'
import { commandBytes } from '../support/protobuf.ts'
import { quiet, sessionRig } from './session-rig.ts'

/* A session whose client speaks Protobuf, and channels that carry bytes. */

const format = protobufOverWebSocket
const json = (value: unknown) => Buffer.from(JSON.stringify(value))
const bytes = Buffer.from([0xff, 0x0a, 0x00, 0x22])
const asText = bytes.toString('latin1')

t.test('hooks and handlers get parsed values, the client gets JSON texts', async (t) => {
  const seen: unknown[] = []
  const rig = await sessionRig(t, {
    hooks: { onConnect: ({ data, name }) => ({ data: { data, name } }), onMessage: ({ data }) => void seen.push(data) }
  })
  rig.channel('a', { onSubscribe: ({ data }) => ({ data: { got: data } }) })
  rig.methods.set('echo', { handler: ({ data }) => data })
  const client = await rig.client({ format, connect: false })
  t.match(await client.call({ connect: { data: json({ a: 1 }), name: 'dart' } }), {
    connect: { data: '{"data":{"a":1},"name":"dart"}', pong: true }
  })
  t.match(await client.call({ subscribe: { channel: 'a', data: json([1]) } }), { subscribe: { data: '{"got":[1]}' } })
  t.same(await client.call({ rpc: { method: 'echo', data: json({ b: 1 }) } }), { rpc: { data: '{"b":1}' } })
  t.same(await client.call({ rpc: { method: 'echo' } }), { rpc: { data: 'null' } })
  client.say({ send: { data: json('hi') } })
  await quiet()
  t.same(seen, ['hi'])
})

t.test('an integer beyond 2^53 is refused, and passed on unchanged if nothing parses it', async (t) => {
  const rig = await sessionRig(t)
  rig.channel('a', { onPublish: true })
  rig.methods.set('echo', { handler: ({ data }) => data })
  const client = await rig.client({ format })
  await client.call({ subscribe: { channel: 'a' } })
  const data = Buffer.from('{\n"n": 9007199254740993}')
  t.match(await client.call({ rpc: { method: 'echo', data } }), { error: { code: 107 } })
  t.same(await client.call({ publish: { channel: 'a', data } }), { publish: {} })
  t.match(await client.heard(), [{ push: { channel: 'a', pub: { data: '{ "n": 9007199254740993}' } } }])
})

t.test('publications of a client: validated, changed by a hook, refused', async (t) => {
  const rig = await sessionRig(t)
  rig.channel('a', { onPublish: ({ data }) => ({ data: { was: data } }) })
  rig.channel('n', {
    onPublish: true,
    validators: { publication: (data) => (data === 'bad' ? false : { value: { n: 5, ...(data as object) } }) }
  })
  const client = await rig.client({ format })
  for (const channel of ['a', 'n']) await client.call({ subscribe: { channel } })
  t.same(await client.call({ publish: { channel: 'a', data: json(1) } }), { publish: {} })
  t.match(await client.heard(), [{ push: { pub: { data: '{"was":1}', info: { user: 'ada' } } } }])
  t.same(await client.call({ publish: { channel: 'n', data: json({ m: 1 }) } }), { publish: {} })
  t.match(await client.heard(), [{ push: { pub: { data: '{"n":5,"m":1}' } } }])
  for (const data of [json('bad'), Buffer.from('9007199254740993')]) {
    t.match(await client.call({ publish: { channel: 'n', data } }), { error: { code: 107 } })
  }
  t.match(await client.call({ publish: { channel: 'a', data: Buffer.from('{') } }), { error: { code: 107 } })
  t.match(await client.call({ publish: { channel: 'a' } }), { error: { code: 107 } })
})

t.test('several commands in one message, and replies in one', async (t) => {
  const rig = await sessionRig(t)
  const client = await rig.client({ format })
  client.say({ id: 1, ping: {} }, { id: 2, ping: {} })
  t.same(await client.heard(), [
    { id: 1, ping: {} },
    { id: 2, ping: {} }
  ])
})

t.test('pings and pongs', async (t) => {
  const rig = await sessionRig(t)
  const client = await rig.client({ format })
  t.ok(client.session.ping())
  t.same(await client.heard(), [{}])
  client.session.receive(Buffer.from([0]), true)
  t.equal(client.closed, undefined)
})

t.test('a message of the other kind, and bytes that are no commands', async (t) => {
  const rig = await sessionRig(t)
  const text = await rig.client({ format })
  text.session.receive(Buffer.from('{"id":1,"ping":{}}'), false)
  t.same(text.closed, { code: 3506, reason: 'inappropriate protocol' })
  const binary = await rig.client()
  binary.session.receive(commandBytes({ id: 1, ping: {} }), true)
  t.same(binary.closed, { code: 3506, reason: 'inappropriate protocol' })
  const malformed = await rig.client({ format })
  malformed.session.receive(Buffer.from([5, 1]), true)
  t.same(malformed.closed, { code: 3501, reason: 'bad request' })
})

t.test('a client whose first command has no valid payload is not connected', async (t) => {
  const rig = await sessionRig(t)
  const client = await rig.client({ format, connect: false })
  t.match(await client.call({ connect: { data: Buffer.from('{') } }), { error: { code: 107 } })
  t.equal(await client.call({ ping: {} }), undefined)
})

t.test('bytes: published by the application and by clients, live, recovered and as history', async (t) => {
  const rig = await sessionRig(t)
  const seen: PublishContext[] = []
  rig.channel('b/:id', { binary: true, history: true, onPublish: (context) => void seen.push(context) })
  const client = await rig.client({ format })
  await client.call({ subscribe: { channel: 'b/1' } })
  await rig.publish('b/1', bytes)
  t.same(await client.call({ publish: { channel: 'b/1', data: bytes } }), { publish: {} })
  t.same(
    seen.map(({ data }) => data),
    [bytes]
  )
  const live = await client.heard()
  t.match(live, [{ push: { pub: { data: asText, offset: 1 } } }, { push: { pub: { data: asText, offset: 2 } } }])
  t.match(await client.call({ history: { channel: 'b/1', limit: 10 } }), {
    history: { publications: [{ data: asText }, { data: asText }], offset: 2 }
  })
  const later = await rig.client({ format })
  t.match(await later.call({ subscribe: { channel: 'b/1', recover: true } }), {
    subscribe: {
      recovered: true,
      publications: [
        { data: asText, offset: 1 },
        { data: asText, offset: 2 }
      ]
    }
  })
  t.match(await client.call({ publish: { channel: 'b/1' } }), { error: { code: 107 } }, 'nothing is not bytes')
})

t.test('bytes: what a hook gives instead must be bytes', async (t) => {
  const rig = await sessionRig(t)
  let data: unknown = Uint8Array.from([1, 2])
  rig.channel('b', { binary: true, onPublish: () => ({ data }) })
  const client = await rig.client({ format })
  await client.call({ subscribe: { channel: 'b' } })
  t.same(await client.call({ publish: { channel: 'b', data: bytes } }), { publish: {} })
  t.match(await client.heard(), [{ push: { pub: { data: '\x01\x02' } } }])
  data = { no: 'bytes' }
  t.match(await client.call({ publish: { channel: 'b', data: bytes } }), { error: { code: 100 } })
  t.match(rig.logs, [[{ err: { code: 'FST_RT_INVALID_BYTES' } }, 'channel command failed']])
})

t.test('bytes: a client of JSON is refused with 108', async (t) => {
  const rig = await sessionRig(t, { hooks: { onConnect: ({ data }) => (data ? { subscriptions: ['b'] } : undefined) } })
  rig.channel('b', { binary: true, history: true, presenceTtl: 1_000, onPublish: true })
  const client = await rig.client()
  const refused = { error: { code: 108, message: 'not available' } }
  t.same(await client.call({ subscribe: { channel: 'b' } }), refused)
  t.same(await client.call({ publish: { channel: 'b', data: 1 } }), refused)
  t.same(await client.call({ history: { channel: 'b' } }), refused)
  const subscribed = await rig.client({ connect: false })
  t.same(await subscribed.call({ connect: { data: 1 } }), refused)
  client.session.subscribe('b')
  await quiet()
  t.match(rig.logs.at(-1), [{ err: { code: 108 } }, 'subscription by the server failed'])
  const protobuf = await rig.client({ format, connect: { data: json(1) } })
  t.ok(protobuf.session.isOn('b'))
})

t.test('bytes where this node expects JSON: its clients get null, and positions stay whole', async (t) => {
  const rig = await sessionRig(t)
  rig.channel('a', { history: true })
  const client = await rig.client()
  await client.call({ subscribe: { channel: 'a' } })
  await rig.broker.publish('a', bytes, { binary: true, history: { size: 100, ttl: 60_000 } })
  await rig.publish('a', 1)
  t.match(await client.heard(), [
    { push: { pub: { data: null, offset: 1 } } },
    { push: { pub: { data: 1, offset: 2 } } }
  ])
  t.match(await client.call({ history: { channel: 'a', limit: 5 } }), {
    history: { publications: [{ data: null }, { data: 1 }] }
  })
})
