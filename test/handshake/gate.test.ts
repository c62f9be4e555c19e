import { readFileSync } from 'node:fs'
import { connect as connectTls } from 'node:tls'
import t from 'tap'
import { connect } from '../../lib/testing/index.ts'
import { buildApp } from '../support/app.ts'
import { RawSocket, requestHead } from '../support/raw-socket.ts'

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

t.test('case 131: a rewriteUrl that throws is logged, and the upgrade refused', async (t) => {
  const rewriteUrl = () => {
    throw new Error('a fault')
  }
  const { app, logs } = await buildApp(t, anonymous, { fastify: { rewriteUrl } })
  app.ws('/ws', async () => undefined)
  const { port } = new URL(await app.listen({ host: '127.0.0.1', port: 0 }))
  const socket = await RawSocket.open(Number(port))
  socket.write(requestHead({ path: '/ws' }))
  t.match(await socket.readResponse(), { statusCode: 404, headers: { connection: 'close' } })
  const [line] = logs.filter(({ msg }) => msg === 'route of an upgrade not found')
  t.match(line, { err: { message: 'a fault' } })
  socket.destroy()
})

t.test('a client that leaves while a constraint of the application is found out begins no handshake', async (t) => {
  const asked: ((error: null, value: string) => void)[] = []
  let ask: () => void = () => undefined
  const strategy = {
    name: 'tenant',
    storage: () => {
      const stores = new Map<string, unknown>()
      return {
        get: (tenant: string) => stores.get(tenant) ?? null,
        set: (tenant: string, store: unknown) => void stores.set(tenant, store)
      }
    },
    // Two parameters would make it synchronous.
    deriveConstraint: (_request: unknown, _context: unknown, done: (error: null, value: string) => void) => {
      asked.push(done)
      ask()
    }
  }
  const constraints = { tenant: strategy } as never
  const { app, logs } = await buildApp(t, anonymous, { fastify: { routerOptions: { constraints } } })
  app.get('/ws', { websocket: true, constraints: { tenant: 'a' } }, () => undefined)
  const { port } = new URL(await app.listen({ host: '127.0.0.1', port: 0 }))
  const left = new Promise<void>((resolve) => {
    app.server.on('connection', (stream) => stream.once('close', resolve))
  })
  const wasAsked = new Promise<void>((resolve) => {
    ask = resolve
  })
  const socket = await RawSocket.open(Number(port))
  socket.write(requestHead({ path: '/ws' }))
  await wasAsked
  socket.reset()
  await left
  asked[0]?.(null, 'a')
  t.equal(asked.length, 1, 'Fastify was not asked for a route')
  t.notOk(logs.some(({ msg }) => msg === 'incoming request' || msg === 'handshake refused'))
})
