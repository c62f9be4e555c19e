import { once } from 'node:events'
import { connect as connectHttp2 } from 'node:http2'
import { connect, type Socket } from 'node:net'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { buildApp } from '../support/app.ts'
import { pending } from '../support/pending.ts'
import { until } from '../support/redis-server.ts'
import { refused, StreamClient } from '../support/stream-client.ts'
import { originOf } from '../support/transports.ts'

/* Clients of the HTTP endpoints that use the transport in ways that no library does. */

const CONNECT = '{"id":1,"connect":{}}'
const JSON_TYPE = 'application/json'

async function open(
  t: Test,
  options: object = {},
  http2 = false,
  declare: (app: FastifyInstance) => unknown = () => {}
) {
  const channels = { websocket: http2 ? (false as const) : undefined }
  const built = await buildApp(
    t,
    { auth: false, drain: { window: 0 }, channels, ...options },
    { fastify: { http2 } as never }
  )
  built.app.channel('rooms/:room', { onSubscribe: true, onPublish: true })
  declare(built.app)
  const origin = await originOf(built.app)
  return { ...built, origin, port: Number(new URL(origin).port) }
}

function post(path: string, body: string, length = Buffer.byteLength(body)): string {
  return `POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Type: ${JSON_TYPE}\r\nContent-Length: ${length}\r\n\r\n${body}`
}

/** Sends bytes as they are, and collects the answer. */
async function raw(t: Test, port: number, bytes: string | Buffer) {
  const socket = connect(port, '127.0.0.1')
  t.teardown(() => socket.destroy())
  socket.on('error', () => undefined)
  let text = ''
  socket.setEncoding('latin1').on('data', (more: string) => {
    text += more
  })
  await once(socket, 'connect')
  socket.write(bytes)
  return { socket, text: () => text }
}

async function ended(socket: Socket): Promise<void> {
  if (!socket.closed) await once(socket, 'close')
}

t.test('streams that are pipelined behind another request take no place', async (t) => {
  // Node reports no end of a response that it holds back. Ten streams on one socket kept nine places for ever.
  const { app, port } = await open(t, { limits: { connections: { total: 2 } } })
  const { socket } = await raw(t, port, post('/connection/http_stream', CONNECT).repeat(10))
  await until(() => app.realtime.connections().length === 1)
  await StreamClient.open(app).then((client) => client.close())
  socket.destroy()
  await until(() => app.realtime.connections().length === 0)
  const clients = [await StreamClient.open(app), await StreamClient.open(app)]
  t.equal((await refused(app)).status, 503)
  for (const client of clients) client.close()

  // Behind a request that is answered first, the refusal arrives.
  const { promise: answered, resolve: answer } = pending()
  const slow = await open(t, {}, false, (app) => app.get('/slow', () => answered.then(() => 'done')))
  const both = await raw(
    t,
    slow.port,
    `GET /slow HTTP/1.1\r\nHost: a\r\n\r\n${post('/connection/http_stream', CONNECT)}`
  )
  await until(() => slow.logs.some(({ code }) => code === 'FST_RT_BAD_CONNECT'))
  answer()
  await until(() => both.text().includes('earlier requests on its connection'))
  t.match(both.text(), /^HTTP\/1.1 200 .*HTTP\/1.1 400 /s)
})

t.test('a body that does not end is not waited for', async (t) => {
  const { app, port } = await open(t, { limits: { upgradeTimeout: 200 } })
  for (const path of ['/emulation', '/connection/http_stream', '/connection/sse']) {
    const { socket, text } = await raw(t, port, post(path, '{"id"', 100))
    await ended(socket)
    t.match(text(), /^HTTP\/1.1 503 .*FST_RT_HANDSHAKE_TIMEOUT/s, path)
  }
  t.same(app.realtime.connections(), [])
})

t.test('a body that is too large ends its connection', async (t) => {
  const { port } = await open(t)
  const chunk = `10000\r\n${'a'.repeat(65_536)}\r\n`
  for (const type of [JSON_TYPE, 'text/plain']) {
    for (const path of ['/emulation', '/connection/http_stream', '/connection/sse']) {
      const head = `POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Type: ${type}\r\nTransfer-Encoding: chunked\r\n\r\n`
      const { socket, text } = await raw(t, port, head + chunk + chunk)
      await ended(socket)
      t.match(text(), /^HTTP\/1.1 413 .*connection: close/is, path)
    }
  }
})

t.test('text that is not UTF-8 is refused, and not changed', async (t) => {
  const { port } = await open(t)
  for (const path of ['/emulation', '/connection/http_stream', '/connection/sse']) {
    const bytes = Buffer.from(post(path, '{"id":1,"connect":{"name":"?"},"node":"a","session":"b","data":"{}"}'))
    bytes[bytes.lastIndexOf('?')] = 0xff
    const { text } = await raw(t, port, bytes)
    await until(() => text().includes('\r\n\r\n'))
    t.match(text(), /^HTTP\/1.1 400 /, path)
  }
})

t.test('HTTP/2: a client that does not end its requests keeps no place', async (t) => {
  // A stream stays open until both sides have ended it, so the place of a refused request was kept with it.
  const limits = { upgradeTimeout: 200, connections: { total: 40 } }
  const { app, origin } = await open(t, { limits }, true)
  const session = connectHttp2(origin)
  t.teardown(() => session.destroy())
  const ask = (type = JSON_TYPE) => {
    const stream = session.request({
      ':method': 'POST',
      ':path': '/connection/http_stream',
      'content-type': type
    })
    stream.on('error', () => undefined)
    return stream.resume()
  }
  // Too slow, too large, and reset at every moment.
  const slow = Array.from({ length: 20 }, () => ask())
  const large = Array.from({ length: 10 }, () => ask())
  for (const stream of large) stream.write(Buffer.alloc(70_000))
  await Promise.all([...slow, ...large].map((stream) => once(stream, 'close')))
  t.same(
    new Set([...slow, ...large].map(({ sentHeaders, rstCode }) => [sentHeaders !== undefined, rstCode].join())),
    new Set(['true,0'])
  )
  for (let round = 0; round < 5; round++) {
    const reset = Array.from({ length: 40 }, () => ask())
    for (const [at, stream] of reset.entries()) {
      if (at % 2 === 0) stream.end(CONNECT)
      if (at % 3 === 0) stream.close(8)
      else if (at % 3 === 1) stream.once('response', () => stream.close(8))
      else setImmediate(() => stream.close(8))
    }
    await Promise.all(reset.map((stream) => stream.closed || once(stream, 'close')))
  }
  await until(() => app.realtime.connections().length === 0)
  const opened = Array.from({ length: 40 }, () => ask().end(CONNECT))
  const heads = await Promise.all(opened.map((stream) => once(stream, 'response')))
  t.same(new Set(heads.map(([head]) => head[':status'])), new Set([200]))
})
