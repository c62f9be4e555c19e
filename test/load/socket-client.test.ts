import { mock } from 'node:test'
import { test } from 'tap'
import type { Publisher } from '../../lib/load/ledger.ts'
import { SocketClient } from '../../lib/load/socket-client.ts'
import { clientSetup, feed, LoadPeer } from '../support/load-peer.ts'

const notice = (fields: object) => JSON.stringify({ notice: fields })
const stamp = (sequence: number) => ({ load: ['run', 0, sequence, 0] })

async function room(t: Parameters<typeof LoadPeer.start>[0]) {
  const peer = await LoadPeer.start(t, '/room?a=1')
  const own = feed()
  const setup = clientSetup(own)
  const [publisher] = setup.journal.ledger.addPublishers(1) as [Publisher]
  own.receipt = setup.journal.ledger.addSubscriber([publisher])
  const client = new SocketClient(setup, peer.endpoint, false)
  client.publishers.push(publisher)
  t.teardown(() => client.close())
  return { peer, client, own, publisher, journal: setup.journal }
}

test('a room: the notice, publications with a position, and what was missed', async (t) => {
  const { peer, client, own, publisher, journal } = await room(t)
  const opened = client.open()
  const { socket, url } = await peer.connection()
  t.equal(url, '/room?a=1')
  socket.send(notice({ code: 'other' }))
  socket.send(notice({ code: 'subscribed', offset: 4, epoch: 'e' }))
  await opened
  t.same([own.offset, own.epoch], [4, 'e'])
  for (let at = 0; at < 3; at++) publisher.next()
  socket.send(JSON.stringify({ channel: 'c', data: stamp(0), offset: 5, epoch: 'e' }))
  socket.send(JSON.stringify({ echo: stamp(1) }))
  socket.send(JSON.stringify(stamp(2)))
  for (const other of ['no JSON', '5', '{}']) socket.send(other)
  while (journal.ledger.delivered < 3) await new Promise((resolve) => setTimeout(resolve, 5))
  client.cut()
  const again = await peer.connection()
  t.equal(again.url, '/room?a=1&since=e%3A5')
  again.socket.send(notice({ code: 'insufficient_state', offset: 9, epoch: 'f' }))
  while (!client.isReady) await new Promise((resolve) => setTimeout(resolve, 5))
  t.same([own.offset, own.epoch, journal.recoveries.notRecovered], [9, 'f', 1])
  again.socket.send(notice({ code: 'subscribed' }))
  while (own.epoch !== '') await new Promise((resolve) => setTimeout(resolve, 5))
  t.equal(journal.reconnections, 1, 'only once')
})

test('refused messages, and a room without a notice', async (t) => {
  const { peer, client, journal, publisher } = await room(t)
  mock.timers.enable({ apis: ['setTimeout'] })
  t.teardown(() => mock.timers.reset())
  const opened = client.open()
  const { socket, next } = await peer.connection()
  while (!client.isReady) {
    mock.timers.tick(1_000)
    await new Promise((resolve) => setImmediate(resolve))
  }
  await opened
  client.send({ publisher, sequence: publisher.next(), feed: feed(), text: '{}' })
  t.equal(await next(), '{}')
  socket.send('{"error":{"code":"rate_limited"}}')
  socket.send('{"error":{}}')
  while (Object.keys(journal.rejections).length < 2) await new Promise((resolve) => setImmediate(resolve))
  t.same(journal.rejections, { rate_limited: 1, unknown: 1 })
})
