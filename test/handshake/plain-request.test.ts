import { once } from 'node:events'
import type { Server } from 'node:http'
import { PassThrough } from 'node:stream'
import t from 'tap'
import { afterAnswers, detachResponse, isAnswered, passAsPlain } from '../../lib/handshake/plain-request.ts'
import { buildApp } from '../support/app.ts'
import { RawSocket } from '../support/raw-socket.ts'

/* Upgrades to other protocols as plain requests. Against bodies and pipelines: test/cases/g2-upgrades.test.ts. */

const anonymous = { auth: false } as const

t.test('nothing of an upgrade to another protocol is left in the request, and all else is', async (t) => {
  const { app } = await buildApp(t, anonymous)
  app.get('/headers', (request) => request.raw.rawHeaders)
  const { port } = new URL(await app.listen({ host: '127.0.0.1', port: 0 }))
  const socket = await RawSocket.open(Number(port))
  const ask = async (connection: string) => {
    const lines = `Connection: ${connection}\r\nUPGRADE: TLS/1.0, h2c\r\nHTTP2-Settings: AAA\r\nX-Upgrade: 1\r\nX-Name: \xfcml`
    socket.write(Buffer.from(`GET /headers HTTP/1.1\r\nHost: a\r\n${lines}\r\n\r\n`, 'latin1'))
    return JSON.parse((await socket.readResponse()).body)
  }
  const others = ['X-Upgrade', '1', 'X-Name', '\xfcml']
  t.same(await ask('Upgrade, HTTP2-Settings'), ['Host', 'a', ...others])
  t.same(await ask('keep-alive,upgrade , X-Upgrade'), ['Host', 'a', 'Connection', 'keep-alive, X-Upgrade', ...others])
  socket.destroy()
})

t.test('a head that Node may have cut is refused, by the number that the server takes', async (t) => {
  const statusOf = async (maxHeadersCount: number | null, pairs: number) => {
    const server = { maxHeadersCount, emit: () => true } as unknown as Server
    const rawHeaders = Array.from({ length: pairs * 2 }, () => 'x')
    const stream = new PassThrough()
    passAsPlain(server, { method: 'GET', url: '/', httpVersion: '1.1', rawHeaders } as never, stream, Buffer.alloc(0))
    const [data] = await once(stream, 'data')
    return String(data).split('\r\n')[0]
  }
  t.match(await statusOf(null, 1_000), 'HTTP/1.1 431 ')
  t.equal(await statusOf(null, 999), 'GET / HTTP/1.1')
  t.match(await statusOf(10, 10), 'HTTP/1.1 431 ')
  t.equal(await statusOf(0, 3_000), 'GET / HTTP/1.1', 'none is cut')
})

t.test('a client that leaves while its request waits, or is refused, breaks nothing', async (t) => {
  const response = new PassThrough()
  const stream = Object.assign(new PassThrough(), { _httpMessage: response })
  afterAnswers(stream, () => t.fail('goes on'))
  t.ok(isAnswered(stream))
  stream.emit('error', new Error('reset'))
  t.ok(stream.destroyed)
  response.end()
  response.resume()
  await once(response, 'finish')
  await new Promise((resolve) => setImmediate(resolve))

  const refused = new PassThrough()
  const rawHeaders = Array.from({ length: 2_000 }, () => 'x')
  passAsPlain({ maxHeadersCount: null } as unknown as Server, { rawHeaders } as never, refused, Buffer.alloc(0))
  refused.emit('error', new Error('reset'))
  t.ok(refused.destroyed)
})

t.test('a stream without a response keeps nothing', async (t) => {
  const stream = new PassThrough()
  t.notOk(isAnswered(stream))
  detachResponse(stream)
  let detached: unknown
  detachResponse(Object.assign(stream, { _httpMessage: { detachSocket: (from: unknown) => (detached = from) } }))
  t.equal(detached, stream)
})
