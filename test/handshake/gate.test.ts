import { readFileSync } from 'node:fs'
import { connect as connectTls } from 'node:tls'
import type { FastifyRequest } from 'fastify'
import t from 'tap'
import { connect } from '../../lib/testing/index.ts'
import { buildApp } from '../support/app.ts'
import { RawSocket, rawUpgrade, requestHead } from '../support/raw-socket.ts'

/* What stands before everything: upgrades to other protocols, deadlines, and what other listeners still see. */

const anonymous = { auth: false } as const
const support = new URL('../support/tls/', import.meta.url)
const https = { key: readFileSync(new URL('key.pem', support)), cert: readFileSync(new URL('cert.pem', support)) }

t.test('an upgrade to another protocol is ignored over TLS too', async (t) => {
  const { app } = await buildApp(t, anonymous, { fastify: { https } as object })
  app.get('/plain', () => 'an ordinary answer')
  app.ws('/ws', async (socket) => socket.sendJson('over TLS'))
  const { port } = new URL(await app.listen({ host: '127.0.0.1', port: 0 }))
  const client = connectTls({ port: Number(port), host: '127.0.0.1', rejectUnauthorized: false })
  let received = ''
  client.setEncoding('utf8').on('data', (chunk) => {
    received += chunk
  })
  for (let i = 1; i <= 2; i++) {
    client.write(requestHead({ path: '/plain', headers: { Upgrade: 'h2c' } }))
    while (received.split('an ordinary answer').length <= i)
      await new Promise((resolve) => client.once('data', resolve))
  }
  t.match(received, /^HTTP\/1\.1 200 OK/)
  client.destroy()
  t.equal(await (await connect(app, '/ws')).next(), 'over TLS')
})

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

t.test('the offer that hooks see holds no credential, and reads as if there had been none', async (t) => {
  const verify = () => ({ sub: 'ada', exp: Date.now() / 1000 + 60 })
  const seen: unknown[] = []
  const look = async ({ raw }: FastifyRequest) => {
    const raws = raw.rawHeaders.filter((_, i, all) => /^sec-websocket-protocol$/i.test(all[i - (i % 2)] as string))
    seen.push([raw.headers['sec-websocket-protocol'], raws])
  }
  const { app } = await buildApp(t, { auth: { verify } }, { before: (app) => app.addHook('onRequest', look) })
  app.ws('/ws', async () => undefined)
  const { port } = new URL(await app.listen({ host: '127.0.0.1', port: 0 }))
  const offers = [['a', 'bearer.x', 'b'], ['bearer', 'x', 'a'], ['bearer.x']]
  for (const protocols of offers) (await rawUpgrade(Number(port), { path: '/ws', protocols })).destroy()
  // In two headers, which a proxy may make of one.
  const headers = { 'Sec-WebSocket-Protocol': ['bearer.x', 'a'] }
  ;(await rawUpgrade(Number(port), { path: '/ws', headers })).destroy()
  t.same(seen, [
    ['a, b', ['Sec-WebSocket-Protocol', 'a, b']],
    ['a', ['Sec-WebSocket-Protocol', 'a']],
    [undefined, []],
    ['a', ['Sec-WebSocket-Protocol', 'a']]
  ])
})

t.test('a client that leaves while it is refused breaks nothing', async (t) => {
  const { app } = await buildApp(t, { ...anonymous, drain: { delay: 200 } })
  app.ws('/ws', async (socket) => {
    for await (const _ of socket.messages());
  })
  const { port } = new URL(await app.listen({ host: '127.0.0.1', port: 0 }))
  const stays = await connect(app, '/ws')
  const drained = app.realtime.drain()
  for (let i = 0; i < 5; i++) {
    const socket = await RawSocket.open(Number(port))
    socket.write(requestHead({ path: '/ws' }))
    socket.reset()
  }
  t.match(await stays.next(), { notice: { code: 'draining' } })
  t.match(await stays.closed(), { code: 1012 })
  await drained
})
