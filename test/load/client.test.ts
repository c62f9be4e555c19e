import { once } from 'node:events'
import { mock } from 'node:test'
import { test } from 'tap'
import { backoff } from '../../lib/load/client.ts'
import { Publisher } from '../../lib/load/ledger.ts'
import { SocketClient } from '../../lib/load/socket-client.ts'
import { clientSetup, feed, LoadPeer } from '../support/load-peer.ts'

/* What all clients have in common, seen in one that echoes. */

async function echo(t: Parameters<typeof LoadPeer.start>[0]) {
  const peer = await LoadPeer.start(t)
  const own = feed()
  const setup = clientSetup(own)
  const client = new SocketClient(setup, peer.endpoint, true)
  const publisher = new Publisher(0)
  client.publishers.push(publisher)
  t.teardown(() => client.close())
  const message = () => ({ publisher, sequence: publisher.next(), feed: own, text: '"hi"' })
  return { peer, client, publisher, message, journal: setup.journal, own }
}

test('backoff: exponential up to 20 s, with full jitter', async (t) => {
  mock.method(Math, 'random', () => 1)
  t.same([0, 1, 2, 5, 6, 100].map(backoff), [500, 1000, 2000, 16_000, 20_000, 20_000])
  mock.restoreAll()
  t.ok(backoff(100) < 20_000)
})

test('cut, it comes back and sends what became due meanwhile', async (t) => {
  const { peer, client, publisher, message, journal } = await echo(t)
  t.notOk(client.cut(), 'nothing to cut')
  client.pause()
  client.resume()
  await client.open()
  await peer.connection()
  t.ok(client.isReady)
  client.send(message())
  t.ok(client.cut())
  t.ok(client.isAway)
  t.same(publisher.fates, [3], 'its answer is lost')
  client.send(message())
  const { socket, next } = await peer.connection()
  t.equal(await next(), '"hi"')
  t.same([journal.everOpened, journal.reconnections, publisher.fates], [1, 1, [3, 0]])
  socket.close(1012)
  await peer.connection()
  t.same(journal.closes, { 1012: 1 })
})

test('closed with a code that forbids it, or for good, it does not come back', async (t) => {
  const { peer, client, publisher, message, journal, own } = await echo(t)
  own.receipt = journal.ledger.addSubscriber([publisher])
  await client.open()
  const { socket } = await peer.connection()
  client.pause()
  client.resume()
  socket.close(4403)
  await once(socket, 'close')
  while (client.isReady) await new Promise((resolve) => setTimeout(resolve, 5))
  client.send(message())
  t.same([client.isAway, publisher.fates, own.receipt.ended], [false, [3], true])
})

test('messages that wait are given up at the end', async (t) => {
  const { peer, client, publisher, message } = await echo(t)
  await client.open()
  await peer.connection()
  client.cut()
  client.send(message())
  client.abandon()
  t.same(publisher.fates, [3])
  client.close()
  t.notOk(client.isAway)
})

test('without an answer in time it does not take part', async (t) => {
  const peer = await LoadPeer.start(t)
  const setup = clientSetup(feed())
  mock.timers.enable({ apis: ['setTimeout'] })
  t.teardown(() => mock.timers.reset())
  const client = new SocketClient(setup, peer.endpoint, false)
  const opened = client.open()
  mock.timers.tick(20_000)
  await opened
  t.same([setup.journal.failures, client.isReady], [{ timeout: 1 }, false])
})

test('a refused handshake that would be refused again', async (t) => {
  const peer = await LoadPeer.start(t)
  const setup = clientSetup(feed())
  peer.server.options.verifyClient = (_info: unknown, done: (ok: boolean, status?: number) => void) => done(false, 401)
  const client = new SocketClient(setup, peer.endpoint, true)
  await client.open()
  t.same([setup.journal.refusals, setup.journal.everOpened], [{ 401: 1 }, 0])
  const { client: other, peer: own, journal } = await echo(t)
  await other.open()
  await own.connection()
  own.server.options.verifyClient = (_info: unknown, done: (ok: boolean, status?: number) => void) => done(false, 401)
  other.cut()
  while (other.isAway) await new Promise((resolve) => setTimeout(resolve, 5))
  t.same(journal.refusals, { 401: 1 })
})
