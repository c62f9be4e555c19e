import { once } from 'node:events'
import { createServer, type Server } from 'node:net'
import { type Test, test } from 'tap'
import { WebSocketServer } from 'ws'
import { Connection, type ConnectionEnd, type Endpoint } from '../../../../demo/load/client/connection.ts'
import { freePort } from '../../../support/redis-server.ts'

/** A connection, and everything that it told, one after another. */
function connect(t: Test, port: number, more: Partial<Endpoint> = {}) {
  const told: (string | ConnectionEnd)[] = []
  let wake = () => {}
  const tell = (what: string | ConnectionEnd) => {
    told.push(what)
    wake()
  }
  const endpoint: Endpoint = {
    secure: false,
    address: '127.0.0.1',
    port,
    host: `127.0.0.1:${port}`,
    serverName: '',
    path: '/here?a=1',
    protocols: [],
    origin: undefined,
    localAddress: undefined,
    ...more
  }
  const connection = new Connection(endpoint, {
    onOpen: () => tell('open'),
    onMessage: tell,
    onEnd: tell
  })
  t.teardown(() => connection.reset())
  const until = async (count: number) => {
    while (told.length < count) await new Promise<void>((resolve) => (wake = resolve))
    return told
  }
  return { connection, until, told }
}

async function webSocketServer(t: Test): Promise<{ server: WebSocketServer; port: number }> {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  t.teardown(() => server.close())
  await once(server, 'listening')
  return { server, port: (server.address() as { port: number }).port }
}

/** Answers every connection with these bytes, whatever it says. */
async function answering(t: Test, bytes: string): Promise<number> {
  const server: Server = createServer((socket) => {
    socket.on('error', () => {})
    socket.once('data', () => socket.end(bytes))
  }).listen(0, '127.0.0.1')
  t.teardown(() => server.close())
  await once(server, 'listening')
  return (server.address() as { port: number }).port
}

test('it says who it is, and messages go both ways', async (t) => {
  const { server, port } = await webSocketServer(t)
  // All of 127.0.0.0/8 is this machine on Linux, and 127.0.0.1 everywhere.
  const localAddress = process.platform === 'linux' ? '127.0.0.2' : '127.0.0.1'
  const accepted = once(server, 'connection')
  const more = { protocols: ['realtime.v1', 'bearer.abc'], origin: 'https://a.example', localAddress }
  const { connection, until } = connect(t, port, more)
  const [socket, request] = await accepted
  t.equal(request.url, '/here?a=1')
  t.equal(request.socket.remoteAddress, localAddress)
  t.match(request.headers, {
    host: `127.0.0.1:${port}`,
    origin: 'https://a.example',
    'sec-websocket-protocol': 'realtime.v1, bearer.abc'
  })
  await until(1)
  connection.send('grüß dich')
  const [data] = await once(socket, 'message')
  t.equal(String(data), 'grüß dich')
  socket.send('x'.repeat(200_000))
  t.same(await until(2), ['open', 'x'.repeat(200_000)])
  socket.ping('there?')
  const [pong] = await once(socket, 'pong')
  t.equal(String(pong), 'there?')
})

test('a close is answered, and its code told; one that just ends is 1006', async (t) => {
  const { server, port } = await webSocketServer(t)
  const first = once(server, 'connection')
  const closed = connect(t, port)
  const [socket] = await first
  socket.close(4008, 'slow')
  const [code] = await once(socket, 'close')
  t.equal(code, 4008, 'the answer')
  t.same(await closed.until(2), ['open', { how: 'closed', code: 4008 }])

  const second = once(server, 'connection')
  const lost = connect(t, port)
  const [other] = await second
  await lost.until(1)
  other.terminate()
  t.same(await lost.until(2), ['open', { how: 'closed', code: 1006 }])
})

test('a reset and a close of its own tell nothing; the close is heard', async (t) => {
  const { server, port } = await webSocketServer(t)
  const accepted = once(server, 'connection')
  const { connection, until, told } = connect(t, port)
  const [socket] = await accepted
  await until(1)
  const ended = once(socket, 'close')
  await connection.close(5_000)
  t.equal((await ended)[0], 1000)
  await connection.close(5_000)

  const next = once(server, 'connection')
  const other = connect(t, port)
  const [cut] = await next
  await other.until(1)
  other.connection.reset()
  t.equal((await once(cut, 'close'))[0], 1006)
  t.same([told, other.told], [['open'], ['open']])
})

test('a close that nobody answers ends all the same', async (t) => {
  const { server, port } = await webSocketServer(t)
  const accepted = once(server, 'connection')
  const { connection, until } = connect(t, port)
  const [socket] = await accepted
  await until(1)
  socket.pause()
  await connection.close(50)
  t.teardown(() => socket.terminate())
})

test('a handshake that leads nowhere, and why', async (t) => {
  const ends: [number, ConnectionEnd][] = [
    [await answering(t, 'HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\n\r\n'), { how: 'refused', status: 503 }],
    [await answering(t, 'SSH-2.0-OpenSSH\r\n\r\n'), { how: 'failed', reason: 'no WebSocket server' }],
    [await answering(t, ''), { how: 'failed', reason: 'closed during the handshake' }],
    [
      await answering(t, 'HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: 0000\r\n\r\n'),
      { how: 'failed', reason: 'wrong answer to the handshake' }
    ],
    [
      await answering(t, `HTTP/1.1 ${'x'.repeat(20_000)}`),
      { how: 'failed', reason: 'the answer to the handshake does not end' }
    ],
    [await freePort(), { how: 'failed', reason: 'ECONNREFUSED' }]
  ]
  for (const [port, end] of ends) t.same(await connect(t, port).until(1), [end])
})

test('frames that break the protocol end it', async (t) => {
  const { server, port } = await webSocketServer(t)
  server.on('connection', (_socket, request) => request.socket.write(Buffer.from([0xf1, 0x00])))
  t.same(await connect(t, port).until(2), ['open', { how: 'failed', reason: 'extension that was not asked for' }])
})
