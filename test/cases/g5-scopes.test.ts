import Fastify, { type FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { Registry } from 'prom-client'
import t from 'tap'
import realtime from '../../lib/index.ts'
import { disposeAll } from '../../lib/testing/index.ts'
import { connect } from '../support/connect.ts'
import { rawUpgrade } from '../support/raw-socket.ts'

/*
 * Cases 164 and 166: fastify-cli registers app.js as an encapsulated plugin, and the templates of `fastify generate` put
 * each plugin into it. The plugin could be registered on the root instance only.
 */

t.test('case 166: plugins/realtime.js, a route and a channel, as fastify-cli loads them', async (t) => {
  const root = Fastify()
  t.teardown(async () => {
    await disposeAll(root)
    await root.close()
  })
  root.get('/outside', { websocket: true } as object, () => 'plain')
  root.register(async (app) => {
    app.register(fp(async (fastify) => void (await fastify.register(realtime, { auth: false }))))
    app.register(
      async (routes) => {
        routes.ws('/', async (socket) => socket.sendJson('live'))
        routes.channel('news', { onSubscribe: true })
      },
      { prefix: '/live' }
    )
  })
  const listening = await root.listen({ port: 0, host: '127.0.0.1' })
  for (const path of ['/live', '/live/']) t.equal(await (await connect(root, path)).next(), 'live')
  const client = await connect(root, '/connection/websocket')
  client.sendRaw('{"id":1,"connect":{}}')
  t.match(await client.next(), { id: 1, connect: {} })
  client.sendRaw('{"id":2,"subscribe":{"channel":"live/news"}}')
  t.match(await client.next(), { id: 2, subscribe: {} })
  const port = Number(new URL(listening).port)
  t.equal((await rawUpgrade(port, { path: '/outside' })).response.statusCode, 404)
  // Its close is the root's: the drain comes first.
  const closing = root.close()
  t.match(await client.closed(), { code: 3001 })
  await closing
})

t.test('case 166: it serves its scope and those below, and no other', async (t) => {
  const root = Fastify()
  t.teardown(async () => {
    await disposeAll(root)
    await root.close()
  })
  let inner: FastifyInstance | undefined
  root.register(
    async (scope) => {
      await scope.register(realtime, { auth: false })
      inner = scope
      scope.register(async (below) => void below.ws('/ws', async (socket) => socket.sendJson('below')), {
        prefix: '/b'
      })
      scope.get('/raw', { websocket: true }, (socket) => socket.send('raw'))
    },
    { prefix: '/scope' }
  )
  root.get('/raw', () => 'plain')
  await root.ready()
  t.equal(root.hasDecorator('ws'), false)
  t.equal(await (await connect(root, '/scope/b/ws')).next(), 'below')
  t.equal(await (await connect(root, '/scope/raw')).next(), 'raw')
  t.equal((await root.inject('/raw')).body, 'plain')
  t.ok(inner?.realtime.connections().some(({ route }) => route === '/scope/raw'))
})

t.test('case 164: one registry for an application and the next', async (t) => {
  const metrics = new Registry()
  for (let i = 0; i < 2; i++) {
    const app = Fastify()
    await app.register(realtime, { auth: false, metrics })
    await app.ready()
    t.match(await metrics.metrics(), /^realtime_channels 0$/m)
    const second = Fastify()
    await t.rejects(async () => second.register(realtime, { auth: false, metrics }), { code: 'FST_RT_INVALID_OPTION' })
    await second.close().catch(() => undefined)
    await app.close()
    t.same(metrics.getMetricsAsArray(), [])
  }
})
