import t from 'tap'
import { ERROR } from '../../../lib/protocol/channel-errors.ts'
import { DISCONNECT } from '../../../lib/protocol/disconnect-codes.ts'
import type { Position } from '../../../lib/protocol/position.ts'
import { prepareAtConnect, subscribeByServer } from '../../../lib/session/commands/server-subscriptions.ts'
import { pending } from '../../support/pending.ts'
import { asJson, type Client, quiet, sessionRig } from '../session-rig.ts'

type Positions = ReadonlyMap<string, Position | undefined>

/** Subscribes a client to channels, as its `connect` does, and gives the results by channel. */
type Channels = Parameters<typeof prepareAtConnect>[1]

async function atConnect({ session }: Client, channels: Channels, positions: Positions = new Map()) {
  const prepared = await prepareAtConnect(session, channels, positions)
  const results = prepared.map((one) => [one.channel, asJson(one.result())])
  for (const one of prepared) one.begin()
  return Object.fromEntries(results) as Record<string, unknown>
}

t.test('the subscriptions are made together, and nothing of them comes before the last is', async (t) => {
  const rig = await sessionRig(t)
  rig.channel(':id', { history: true, presenceTtl: 30_000 })
  const { epoch } = await rig.publish('a', 1, 2)
  const client = await rig.client()
  const slow = pending()
  const { addPresence } = rig.broker
  rig.broker.addPresence = async (channel, ...rest) => {
    if (channel === 'b') await slow.promise
    return addPresence.call(rig.broker, channel, ...rest)
  }
  let told: unknown
  const positions = new Map([['a', { offset: 1, epoch }]])
  const subscribing = atConnect(client, ['a', 'b', 'a'], positions).then((results) => {
    told = results
  })
  await quiet()
  await rig.publish('a', 3)
  t.same(await client.heard(), [])
  t.equal(told, undefined, 'one of them is not made yet')
  slow.resolve()
  await subscribing
  t.match(told, {
    a: { recovered: true, offset: 1, publications: [{ data: 2, offset: 2 }] },
    b: { recoverable: true, offset: 0 }
  })
  t.match(await client.heard(), [{ push: { channel: 'a', pub: { data: 3, offset: 3 } } }])
  t.same(client.session.channels, ['a', 'b'], 'one that is named twice is one')
  t.ok([...client.session.subscriptions].every(({ byServer, live }) => byServer && live))
})

t.test('the others have heard of it when it is done', async (t) => {
  const rig = await sessionRig(t)
  rig.channel('room', { joinLeave: true })
  await atConnect(await rig.client(), ['room'])
  t.ok(rig.broker.calls.includes('join room'))
})

t.test('no subscriptions make none', async (t) => {
  const rig = await sessionRig(t)
  t.same(await atConnect(await rig.client(), []), {})
})

t.test('if one can’t be made none is, and nobody learns of the others', async (t) => {
  const rig = await sessionRig(t)
  const ended: unknown[] = []
  // It was called for each that had been made by then, although the client had never heard of it.
  rig.channel('good/:id', { presenceTtl: 30_000, onUnsubscribe: () => ended.push(1) })
  rig.channel('bad')
  const { subscribe } = rig.broker
  rig.broker.subscribe = (channel) =>
    channel === 'bad' ? Promise.reject(new Error('no')) : subscribe.call(rig.broker, channel)
  const client = await rig.client()
  await t.rejects(atConnect(client, ['good/1', 'bad', 'good/2']), { message: 'no' })
  await quiet()
  t.same(client.session.channels, [])
  t.same(await rig.broker.presence('good/1'), [])
  await rig.publish('good/1', 1)
  t.same(await client.heard(), [])
  t.same(ended, [], 'none had begun, as far as the client knows')
})

t.test('too many, or to what there is not', async (t) => {
  const rig = await sessionRig(t, { maxSubscriptions: 2 })
  rig.channel('rooms/:room')
  const client = await rig.client()
  const { code, reason } = DISCONNECT.channelLimit
  await t.rejects(atConnect(client, ['rooms/1', 'rooms/2', 'rooms/3']), { code, message: reason, disconnects: true })
  t.same(client.session.channels, [])
  t.same(Object.keys(await atConnect(client, ['rooms/1', 'rooms/2'])), ['rooms/1', 'rooms/2'])
  const other = await rig.client()
  await t.rejects(atConnect(other, ['rooms/1', 'nowhere']), {
    message: 'onConnect names a channel that is not declared',
    cause: { code: ERROR.unknownChannel.code }
  })
  t.same(other.session.channels, [], 'and nothing is left of the others')
})

t.test('a connection that ends meanwhile leaves nothing', async (t) => {
  const rig = await sessionRig(t)
  const ended: unknown[] = []
  rig.channel(':id', { history: true, presenceTtl: 30_000, onUnsubscribe: () => ended.push(1) })
  const slow = pending()
  const { addPresence } = rig.broker
  rig.broker.addPresence = async (channel, ...rest) => {
    if (channel === 'b') await slow.promise
    return addPresence.call(rig.broker, channel, ...rest)
  }
  const client = await rig.client()
  const subscribing = atConnect(client, ['a', 'b'])
  await quiet()
  client.end()
  slow.resolve()
  await t.rejects(subscribing, { code: ERROR.permissionDenied.code })
  await quiet()
  t.same(await rig.broker.presence('a'), [])
  t.same(rig.hub.channelsOf(client.session), [])
  t.same(ended, [])
})

t.test('the application subscribes a client that is connected', async (t) => {
  const rig = await sessionRig(t)
  rig.channel('news', { history: true })
  await rig.publish('news', 'old')
  const client = await rig.client()
  await subscribeByServer(client.session, 'news')
  await rig.publish('news', 'new')
  t.match(await client.heard(), [
    { push: { channel: 'news', subscribe: { recoverable: true, positioned: true, offset: 1 } } },
    { push: { channel: 'news', pub: { data: 'new', offset: 2 } } }
  ])
  await subscribeByServer(client.session, 'news')
  t.same(await client.heard(), [], 'once')
  t.match(client.session.subscriptions.get('news'), { byServer: true, live: true })
  await t.rejects(subscribeByServer(client.session, 'nowhere'), { code: ERROR.unknownChannel.code })
})

t.test('a subscription may have a filter', async (t) => {
  const rig = await sessionRig(t)
  rig.channel(':id')
  const client = await rig.client()
  const filter = { key: 'k', cmp: 'eq', val: 'a' } as const
  await atConnect(client, [{ channel: 'a', filter }, { channel: 'b' }, 'c'])
  for (const channel of ['a', 'b', 'c']) {
    for (const k of ['a', 'b']) await rig.hub.publish(channel, k, { tags: { k } })
  }
  const heard = (await client.heard()) as { push: { channel: string; pub: { data: string } } }[]
  const of = (name: string) => heard.flatMap(({ push }) => (push.channel === name ? [push.pub.data] : []))
  t.same([of('a'), of('b'), of('c')], [['a'], ['a', 'b'], ['a', 'b']])
})
