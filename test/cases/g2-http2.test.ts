import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect as connectHttp2 } from 'node:http2'
import { connect as connectTls } from 'node:tls'
import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import realtime from '../../lib/index.ts'
import { requestHead } from '../support/raw-socket.ts'

/*
 * Case 127. A reply over HTTP/2 that names `upgrade` or `connection` is an error that Node throws out of Fastify's own
 * error path: one plain request ended the process.
 */

const support = new URL('../support/tls/', import.meta.url)
const tls = { key: readFileSync(new URL('key.pem', support)), cert: readFileSync(new URL('cert.pem', support)) }

function build(t: Test, options: object): FastifyInstance {
  const app = Fastify(options)
  t.teardown(() => app.close())
  app.register(realtime, { auth: false })
  return app
}

t.test('case 127: a plain HTTP/2 request on a WebSocket route gets 426, and HTTP/1.1 its WebSocket', async (t) => {
  const app = build(t, { http2: true, https: { ...tls, allowHTTP1: true } })
  app.after(() => {
    app.ws('/ws', async (socket) => socket.sendJson('hello'))
    app.get('/raw', { websocket: true }, () => undefined)
    app.channel('news')
  })
  app.get('/plain', () => 'plain')
  const base = await app.listen({ host: '127.0.0.1', port: 0 })
  const session = connectHttp2(base, { rejectUnauthorized: false })
  t.teardown(() => session.destroy())
  const ask = async (path: string, headers = {}) => {
    const stream = session.request({ ':path': path, ...headers })
    const [answer] = await once(stream, 'response')
    stream.resume()
    await once(stream, 'end')
    return answer
  }
  for (const path of ['/ws', '/raw', '/connection/websocket']) {
    const answer = await ask(path)
    t.equal(answer[':status'], 426, path)
    t.match(answer, { connection: undefined, upgrade: undefined }, path)
  }
  // A handshake's headers say nothing over HTTP/2.
  const offer = { 'sec-websocket-protocol': 'bearer.x', 'sec-websocket-key': 'x' }
  t.equal((await ask('/ws?access_token=x', offer))[':status'], 426)
  t.equal((await ask('/plain'))[':status'], 200)

  const client = connectTls({ port: Number(new URL(base).port), host: '127.0.0.1', rejectUnauthorized: false })
  client.write(requestHead({ path: '/ws' }))
  const [data] = await once(client, 'data')
  t.match(String(data), /^HTTP\/1\.1 101 /)
  client.destroy()
})

t.test('case 127: a server that accepts no WebSockets says so when it starts', async (t) => {
  const servers = {
    'without TLS': { http2: true },
    'with TLS': { http2: true, https: tls },
    'with TLS, and told so': { http2: true, https: { ...tls, allowHTTP1: false } }
  }
  const routes: Record<string, (app: FastifyInstance) => unknown> = {
    'app.ws': (app) => app.ws('/ws', async () => undefined),
    raw: (app) => app.get('/raw', { websocket: true }, () => undefined),
    channel: (app) => app.channel('news'),
    rpc: (app) => app.rpc('add', async () => 1)
  }
  for (const [how, options] of Object.entries(servers)) {
    for (const [what, declare] of Object.entries(routes)) {
      const app = build(t, options)
      app.after(() => void declare(app))
      const error = { code: 'FST_RT_INVALID_OPTION', message: /http2: .*https\.allowHTTP1: true/ }
      await t.rejects(async () => app.ready(), error, `${what} ${how}`)
    }
    await t.resolves(async () => build(t, options).ready(), `no WebSocket route ${how}`)
  }
})
