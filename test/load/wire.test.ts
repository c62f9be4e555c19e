import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'tap'
import { openWebSocket, type WireEnd } from '../../lib/load/wire.ts'
import { LoadPeer } from '../support/load-peer.ts'

/** A wire, and what it told. */
function wire(endpoint: Parameters<typeof openWebSocket>[0]) {
  const told: unknown[] = []
  let wake = () => {}
  const tell = (what: unknown) => {
    told.push(what)
    wake()
  }
  const it = openWebSocket(endpoint, {
    onOpen: () => tell('open'),
    onMessage: (data) => tell(data.toString()),
    onEnd: (end: WireEnd) => tell(end)
  })
  const tells = async (count: number) => {
    while (told.length < count) await new Promise<void>((resolve) => (wake = resolve))
    return told
  }
  return { wire: it, told, tells }
}

test('messages in both directions, with the subprotocol and the headers', async (t) => {
  const peer = await LoadPeer.start(t, '/a?b=1')
  const { wire: it, tells } = wire({ url: peer.url, protocols: ['p'], headers: { origin: 'http://h' } })
  const { socket, url, next } = await peer.connection()
  t.equal(url, '/a?b=1')
  t.equal(socket.protocol, 'p')
  await tells(1)
  it.send('hi')
  t.equal(await next(), 'hi')
  it.send(Buffer.of(1))
  t.same(await next(), Buffer.of(1))
  socket.send('there')
  t.same(await tells(2), ['open', 'there'])
  socket.close(4008)
  t.same(await tells(3), ['open', 'there', { code: 4008 }])
})

test('paused, it reads nothing', async (t) => {
  const peer = await LoadPeer.start(t)
  const { wire: it, tells, told } = wire(peer.endpoint)
  const { socket } = await peer.connection()
  await tells(1)
  it.pause()
  socket.send('late')
  socket.ping()
  await Promise.race([once(socket, 'pong'), new Promise((resolve) => setTimeout(resolve, 50))])
  t.same(told, ['open'])
  it.resume()
  t.same(await tells(2), ['open', 'late'])
})

test('an end of this side is not told', async (t) => {
  const peer = await LoadPeer.start(t)
  const ends: unknown[] = []
  for (const how of ['cut', 'close'] as const) {
    const { wire: it, tells, told } = wire(peer.endpoint)
    const { socket } = await peer.connection()
    await tells(1)
    socket.send('not told')
    it[how]()
    ends.push((await once(socket, 'close'))[0])
    t.same(told, ['open'])
  }
  t.same(ends, [1006, 1000])
})

test('a refusal has its status, and a failure its reason', async (t) => {
  const server = createServer().on('upgrade', (_request, socket) => socket.end('HTTP/1.1 429 Too Many\r\n\r\n'))
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.teardown(() => server.close())
  const url = new URL(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`)
  t.same(await wire({ url, protocols: [], headers: {} }).tells(1), [{ status: 429 }])
  const peer = await LoadPeer.start(t)
  peer.server.close()
  t.same(await wire(peer.endpoint).tells(1), [{ reason: 'ECONNREFUSED' }])
  const choosy = await LoadPeer.start(t)
  choosy.server.options.handleProtocols = () => false
  const told = wire({ ...choosy.endpoint, protocols: ['p'] }).tells(1)
  t.match(await told, [{ reason: 'Server sent no subprotocol' }])
})
