import t from 'tap'
import { UNSUBSCRIBE } from '../../lib/protocol/disconnect-codes.ts'
import { pending } from '../support/pending.ts'
import { quiet, sessionRig } from './session-rig.ts'

t.test('case 153: what the application changes before a client has connected is changed once it has', async (t) => {
  const decided = pending<{ subscriptions: string[] }>()
  const rig = await sessionRig(t, { hooks: { onConnect: () => decided.promise } })
  rig.channel(':name')
  const [client, other] = [await rig.client({ connect: false }), await rig.client({ connect: false })]
  client.session.subscribe('early')
  for (const { session } of [client, other]) session.receive(Buffer.from('{"id":1,"connect":{}}'), false)
  await quiet()
  client.session.unsubscribe('old')
  client.session.subscribe('new')
  other.session.unsubscribe('old')
  other.end()
  decided.resolve({ subscriptions: ['old'] })
  t.match(await client.heard(), [
    { id: 1, connect: { subs: { old: {} } } },
    { push: { channel: 'old', unsubscribe: UNSUBSCRIBE.byServer } },
    { push: { channel: 'early', subscribe: {} } },
    { push: { channel: 'new', subscribe: {} } }
  ])
  t.same(client.session.channels, ['early', 'new'])
  t.same(other.session.channels, [])
})

t.test('the application subscribes a client, once it is connected', async (t) => {
  const rig = await sessionRig(t)
  rig.channel('a')
  const early = await rig.client({ connect: false })
  const client = await rig.client()
  for (const { session } of [early, client]) session.subscribe('a')
  t.same(await client.heard(), [{ push: { channel: 'a', subscribe: {} } }])
  client.session.subscribe('a')
  client.session.subscribe('nowhere')
  t.same(await client.heard(), [])
  t.match(rig.logs, [[{ connection: client.connection.id, err: { code: 102 } }, 'subscription by the server failed']])
  client.session.subscribe('a')
  client.end()
  await quiet()
  t.same(await early.heard(), [])
  t.equal(rig.logs.length, 1)
})

t.test('an expiry that was moved is told, to who is connected', async (t) => {
  const rig = await sessionRig(t)
  const [early, client] = [await rig.client({ connect: false }), await rig.client()]
  for (const { session } of [early, client]) session.extended(Date.now() / 1000 + 100)
  t.match(await client.heard(), [{ push: { refresh: { expires: true, ttl: /^(89|90)$/ } } }])
  t.same(await early.heard(), [])
  client.session.extended(Number.POSITIVE_INFINITY)
  t.same(await client.heard(), [{ push: { refresh: {} } }])
})

t.test('case 158: once the turn of a connection has come in a drain, nothing is begun for it', async (t) => {
  const decided = pending<object>()
  const rig = await sessionRig(t, { hooks: { onConnect: ({ data }) => (data === 'wait' ? decided.promise : {}) } })
  rig.channel('a')
  const [client, connecting] = [await rig.client(), await rig.client({ connect: false })]
  connecting.session.receive(Buffer.from('{"id":1,"connect":{"data":"wait"}}'), false)
  await quiet()
  connecting.session.subscribe('a')
  for (const { session } of [client, connecting]) {
    session.drain()
    session.subscribe('a')
    session.extended(Date.now() / 1000 + 100)
  }
  decided.resolve({})
  t.match(await connecting.heard(), [{ id: 1, connect: {} }])
  t.same(await client.heard(), [])
  t.same([client.session.channels, connecting.session.channels], [[], []])
})

t.test('case 156: of what was asked for behind a command, the last call holds', async (t) => {
  const publishing = pending()
  const rig = await sessionRig(t)
  rig.channel('a', { onSubscribe: true, onPublish: () => publishing.promise as never, publishers: 'clients' } as never)
  const client = await rig.client()
  client.say({ id: 7, publish: { channel: 'a', data: 1 } })
  await quiet()
  client.session.subscribe('a')
  client.session.unsubscribe('a')
  client.session.subscribe('a')
  publishing.resolve()
  t.match(await client.heard(), [{ id: 7, publish: {} }, { push: { channel: 'a', subscribe: {} } }])
  t.same(client.session.channels, ['a'])
})

t.test('a client is on a channel from the application’s request on', async (t) => {
  const rig = await sessionRig(t)
  const decided = pending()
  rig.channel('a', { onSubscribe: () => decided.promise })
  rig.channel('b')
  const client = await rig.client()
  t.equal(client.session.isOn('a'), false)
  client.say({ id: 1, subscribe: { channel: 'a' } })
  client.session.subscribe('a')
  client.session.subscribe('b')
  await quiet()
  t.same([client.session.isOn('a'), client.session.isOn('b')], [true, true])
  client.session.unsubscribe('a')
  t.equal(client.session.isOn('a'), false)
  decided.resolve()
  await quiet()
  t.same(client.session.channels, ['b'])
})
