import { readFileSync } from 'node:fs'
import protobuf from 'protobufjs'
import { test } from 'tap'
import { ChannelClient, type LoadTransport } from '../../lib/load/channel-client.ts'
import type { Publisher } from '../../lib/load/ledger.ts'
import { buildApp } from '../support/app.ts'
import { clientSetup, feed, LoadPeer } from '../support/load-peer.ts'
import { originOf } from '../support/transports.ts'

const file = new URL('../../lib/protocol/generated/client.proto', import.meta.url)
const Reply = protobuf
  .parse(readFileSync(file, 'utf8'), { keepCase: true })
  .root.lookupType('centrifugal.centrifuge.protocol.Reply')
const stamp = (sequence: number) => ({ load: ['run', 0, sequence, 0] })
const turn = () => new Promise((resolve) => setTimeout(resolve, 5))

function channels(endpoint: LoadPeer['endpoint'], transport: LoadTransport, ...names: string[]) {
  const feeds = names.map((name, at) => feed(name, at))
  const setup = clientSetup(...feeds)
  const [publisher] = setup.journal.ledger.addPublishers(1) as [Publisher]
  for (const each of feeds) each.receipt = setup.journal.ledger.addSubscriber([publisher])
  const client = new ChannelClient(setup, { ...endpoint, emulation: '/emulation', transport })
  client.publishers.push(publisher)
  const message = () => {
    const sequence = publisher.next()
    return { publisher, sequence, feed: feeds[0] as (typeof feeds)[number], text: JSON.stringify(stamp(sequence)) }
  }
  return { client, feeds, publisher, message, journal: setup.journal }
}

for (const transport of ['websocket', 'protobuf', 'http_stream', 'sse'] as const) {
  test(`against a server of ours, over ${transport}`, async (t) => {
    const { app } = await buildApp(t, { auth: false })
    app.channel('news', { history: { size: 10, ttl: 60_000 }, onSubscribe: true, onPublish: true })
    const origin = (await originOf(app)).replace('http', 'ws')
    const name = {
      websocket: 'websocket',
      protobuf: 'websocket?format=protobuf',
      http_stream: 'http_stream',
      sse: 'sse'
    }
    const url = new URL(`/connection/${name[transport]}`, origin)
    const { client, message, journal, publisher } = channels({ url, protocols: [], headers: {} }, transport, 'news')
    t.teardown(() => client.close())
    await client.open()
    t.same(journal.failures, {})
    client.send(message())
    while (journal.ledger.delivered < 1 || publisher.fates[0] !== 1) await turn()
    client.cut()
    await app.realtime.publish('news', stamp(publisher.next()))
    while (journal.ledger.delivered < 2) await turn()
    t.same(journal.recoveries, { recovered: 1, notRecovered: 0 })
  })
}

test('what else a server may answer', async (t) => {
  const peer = await LoadPeer.start(t)
  const { client, feeds, message, journal, publisher } = channels(peer.endpoint, 'websocket', 'a', 'b')
  t.teardown(() => client.close())
  const opened = client.open()
  const { socket, next } = await peer.connection()
  const say = (...replies: object[]) => socket.send(replies.map((reply) => JSON.stringify(reply)).join('\n'))
  t.equal(await next(), '{"id":1,"connect":{"name":"load"}}')
  say({ id: 1, connect: {} }, {})
  t.equal(await next(), '{"id":2,"subscribe":{"channel":"a"}}')
  t.equal(await next(), '{"id":3,"subscribe":{"channel":"b"}}')
  t.equal(await next(), '{}', 'the answer to a ping')
  say({ id: 2, subscribe: {} }, { id: 3, subscribe: { epoch: 'e', offset: 5 } }, { id: 99 })
  await opened
  t.match(feeds, [{ epoch: '' }, { epoch: 'e', offset: 5 }])
  client.send(message())
  await next()
  say({ id: 4, error: { code: 103 } })
  publisher.next()
  say({ push: { channel: 'b', pub: { data: stamp(1), offset: 6 } } }, { push: { channel: 'c', pub: { data: 1 } } })
  say({ push: { channel: 'b', pub: { data: 1 } } }, { push: {} }, { push: { channel: 'a' } })
  say({ push: { channel: 'a', unsubscribe: { code: 2000 } } }, { push: { channel: 'b', unsubscribe: { code: 2500 } } })
  t.equal(await next(), '{"id":5,"subscribe":{"channel":"b","recover":true,"epoch":"e","offset":6}}')
  say({
    id: 5,
    subscribe: { epoch: 'f', offset: 0, was_recovering: true, publications: [{ data: stamp(0), offset: 1 }] }
  })
  while (journal.recoveries.notRecovered === 0) await turn()
  t.same([journal.rejections, journal.failures], [{ 103: 1 }, { 'unsubscribed with 2000': 1 }])
  t.equal(journal.reconnections, 0)
  say({ push: { disconnect: { code: 3501 } } })
  while (client.isReady) await turn()
  t.same(journal.closes, { 3501: 1 })
})

test('without a connection', async (t) => {
  const cases: [answers: (string | Buffer)[], transport: LoadTransport, reason: string][] = [
    [['{"id":1,"error":{"code":109}}'], 'websocket', 'connect: error 109'],
    [['{"id":1}', '{"id":2,"error":{"code":103}}'], 'websocket', 'subscribe: error 103'],
    [['hello'], 'websocket', 'not the channel protocol'],
    [[Buffer.of(5, 1)], 'protobuf', 'not the channel protocol'],
    [[Buffer.from(Reply.encodeDelimited({ id: 1, error: { code: 3 } }).finish())], 'protobuf', 'connect: error 3']
  ]
  for (const [answers, transport, reason] of cases) {
    const peer = await LoadPeer.start(t)
    const { client, journal } = channels(peer.endpoint, transport, 'a')
    const opened = client.open()
    const { socket, next } = await peer.connection()
    for (const answer of answers) {
      await next()
      socket.send(answer)
    }
    await opened
    t.same(journal.failures, { [reason]: 1 })
  }
})
