import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { dirname, join } from 'node:path'
import compress from '@fastify/compress'
import cors from '@fastify/cors'
import helmet from '@fastify/helmet'
import proxy from '@fastify/http-proxy'
import rateLimit from '@fastify/rate-limit'
import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import type { RealtimeOptions } from '../../lib/index.ts'
import { buildApp } from '../support/app.ts'
import { launchBrowser } from '../support/browser.ts'
import { centrifuge } from '../support/centrifuge.ts'
import { until } from '../support/redis-server.ts'
import { answerOf, refused, StreamClient, send } from '../support/stream-client.ts'
import { clientOver, originOf, transportOptions } from '../support/transports.ts'

/* The HTTP endpoints beside other plugins that an application may have, each registered before and after ours. */

const PAGE = 'https://page.example'
// A drain that is not spread: the tests end with clients connected.
const SETTINGS = { auth: false, drain: { window: 0 } } as const
const transports = ['http_stream', 'sse'] as const
const PATHS = ['/connection/http_stream', '/connection/sse', '/emulation']

type Register = (app: FastifyInstance) => unknown

/** Calls back with an application in which another plugin comes before ours, and one in which it comes after ours. */
function inBothOrders(name: string, register: Register, test: (t: Test, app: FastifyInstance) => Promise<void>): void {
  for (const isFirst of [true, false]) {
    t.test(`${name}, registered ${isFirst ? 'before' : 'after'} ours`, async (t) => {
      const options: RealtimeOptions = { ...SETTINGS, origins: [PAGE] }
      const { app } = await buildApp(t, options, isFirst ? { before: register } : {})
      if (!isFirst) await register(app)
      app.channel('rooms/:room', { onSubscribe: true, onPublish: true })
      await test(t, app)
    })
  }
}

/** A publication arrives at once, through a client that sends a header `Origin` as a page does. */
async function worksFor(t: Test, app: FastifyInstance): Promise<void> {
  const withOrigin: typeof fetch = (input, init) => {
    const headers = new Headers(init?.headers)
    headers.set('origin', PAGE)
    headers.set('accept-encoding', 'gzip, br')
    return fetch(input, { ...init, headers })
  }
  for (const transport of transports) {
    const client = await clientOver(t, transport, app, { fetch: withOrigin })
    const subscription = client.newSubscription(`rooms/${transport}`)
    const received: unknown[] = []
    subscription.on('publication', ({ data }) => received.push(data))
    subscription.subscribe()
    client.connect()
    await subscription.ready()
    for (let n = 1; n <= 3; n++) {
      await subscription.publish({ n })
      await until(() => received.length === n)
    }
    client.disconnect()
  }
}

const credentials = { origin: [PAGE], credentials: true }

inBothOrders(
  '@fastify/cors',
  (app) => app.register(cors, credentials),
  async (t, app) => {
    const at = await originOf(app)
    for (const path of PATHS) {
      const preflight = async (origin: string) => {
        const asks = {
          origin,
          'access-control-request-method': 'POST',
          'access-control-request-headers': 'content-type'
        }
        return answerOf(await send(`${at}${path}`, 'OPTIONS', asks))
      }
      t.match(await preflight(PAGE), {
        status: 204,
        headers: {
          'access-control-allow-origin': PAGE,
          'access-control-allow-credentials': 'true',
          'access-control-allow-headers': /content-type/
        }
      })
      const evil = await preflight('https://evil.example')
      t.not(evil.headers['access-control-allow-origin'], 'https://evil.example')
    }
    for (const transport of transports) {
      const client = await StreamClient.open(app, { transport, headers: { origin: PAGE } })
      t.match(client.response.headers, {
        'access-control-allow-origin': PAGE,
        'access-control-allow-credentials': 'true'
      })
      t.match(await refused(app, { transport, headers: { origin: 'https://evil.example' } }), {
        status: 403,
        body: { code: 'FST_RT_FORBIDDEN_ORIGIN' }
      })
      client.close()
    }
    await worksFor(t, app)
  }
)

inBothOrders(
  '@fastify/compress',
  (app) => app.register(compress, { global: true, threshold: 0 }),
  async (t, app) => {
    for (const transport of transports) {
      const client = await StreamClient.open(app, { transport, headers: { 'accept-encoding': 'gzip' } })
      t.notOk(client.response.headers['content-encoding'])
      client.close()
    }
    await worksFor(t, app)
  }
)

inBothOrders(
  '@fastify/helmet',
  (app) => app.register(helmet),
  async (t, app) => {
    const client = await StreamClient.open(app)
    t.match(client.response.headers, { 'x-content-type-options': 'nosniff', 'content-security-policy': /./ })
    client.close()
    await worksFor(t, app)
  }
)

t.test('@fastify/rate-limit counts attempts to connect, and its refusals are shown as such', async (t) => {
  const max = 3
  const isGlobal = (app: FastifyInstance) => app.register(rateLimit, { max, timeWindow: 600_000 })
  const perRoute = async (app: FastifyInstance) => {
    // Before the hook of the plugin, which reads this.
    app.addHook('onRoute', (route) => {
      if (PATHS.includes(route.url)) route.config = { ...route.config, rateLimit: { max, timeWindow: 600_000 } }
    })
    await app.register(rateLimit, { global: false })
  }
  for (const [before, sharesCount] of [
    [isGlobal, true],
    [perRoute, false]
  ] as const) {
    for (const transport of transports) {
      const { app } = await buildApp(t, SETTINGS, { before })
      app.channel('rooms/:room', { onSubscribe: true })
      const client = await StreamClient.open(app, { transport })
      t.equal((await refused(app, { transport, connect: '{"id":1,"ping":{}}' })).status, 400)
      ;(await StreamClient.open(app, { transport })).close()
      const answer = await refused(app, { transport })
      t.match(answer, { status: 429, body: { statusCode: 429 } })
      t.ok(Number(answer.headers['retry-after']) > 0)
      t.equal(await client.send({ id: 2, ping: {} }), sharesCount ? 429 : 204)
      client.close()
    }
  }
})

t.test('@fastify/http-proxy: a stream, its commands and its end pass a prefix', async (t) => {
  const { app } = await buildApp(t, SETTINGS)
  app.channel('rooms/:room', { onSubscribe: true, onPublish: true })
  const front = Fastify()
  t.teardown(() => front.close())
  await front.register(proxy, { upstream: await originOf(app), prefix: '/api' })
  const origin = await originOf(front as never)
  for (const transport of transports) {
    const { options } = transportOptions(transport, `${origin}/api`)
    const endpoint = [{ transport, endpoint: `${origin}/api/connection/${transport}` }]
    const client = centrifuge(t, endpoint as never, options as never)
    const subscription = client.newSubscription('rooms/1')
    const received: unknown[] = []
    subscription.on('publication', ({ data }) => received.push(data))
    subscription.subscribe()
    client.connect()
    await subscription.ready()
    await app.realtime.publish('rooms/1', 1)
    await until(() => received.length === 1)
    await subscription.publish(2)
    await until(() => received.length === 2)
    client.disconnect()
    await until(() => app.realtime.connections().length === 0)
  }
})

const script = readFileSync(
  join(dirname(createRequire(import.meta.url).resolve('centrifuge')), '..', 'dist', 'centrifuge.js'),
  'utf8'
)

t.test('a page of another origin in Chromium, with a cookie', async (t) => {
  const site = createServer(({ url }, response) => {
    const isScript = url === '/centrifuge.js'
    response.setHeader('content-type', isScript ? 'text/javascript' : 'text/html')
    response.end(isScript ? script : '<!doctype html><script src="/centrifuge.js"></script>')
  })
  t.teardown(() => site.close().closeAllConnections())
  await new Promise<void>((resolve) => site.listen(0, '127.0.0.1', resolve))
  const page = `http://127.0.0.1:${(site.address() as AddressInfo).port}`
  const cookies: (string | undefined)[] = []
  const { app } = await buildApp(t, { ...SETTINGS, origins: [page] })
  await app.register(cors, { origin: [page], credentials: true })
  app.addHook('onRequest', async ({ method, url, headers }) => {
    if (method !== 'OPTIONS' && url !== '/login') cookies.push(headers.cookie)
  })
  app.get('/login', async (_request, reply) => reply.header('set-cookie', 'who=ada; Path=/').send('in'))
  app.channel('rooms/:room', { onSubscribe: true, onPublish: true })
  const origin = await originOf(app)
  const browser = await launchBrowser()
  t.teardown(() => browser.close())
  for (const transport of transports) {
    const tab = await browser.newPage()
    await tab.goto(page)
    cookies.length = 0
    const received = await tab.evaluate(
      async ({ origin, transport }) => {
        const { Centrifuge } = globalThis as unknown as { Centrifuge: typeof import('centrifuge').Centrifuge }
        await fetch(`${origin}/login`, { credentials: 'include' })
        const endpoint = [{ transport, endpoint: `${origin}/connection/${transport}` }]
        const withCredentials = { withCredentials: true }
        const client = new Centrifuge(endpoint, {
          emulationEndpoint: `${origin}/emulation`,
          eventsource: class extends EventSource {
            constructor(url: string) {
              super(url, withCredentials)
            }
          },
          fetch: (input: string, init: RequestInit) => fetch(input, { ...init, credentials: 'include' })
        })
        const subscription = client.newSubscription('rooms/1')
        const publication = new Promise((resolve) => {
          subscription.on('publication', ({ data }) => resolve(data))
        })
        subscription.subscribe()
        client.connect()
        await subscription.publish({ from: transport })
        return publication
      },
      { origin, transport }
    )
    t.same(received, { from: transport })
    t.ok(cookies.length > 1)
    t.same(new Set(cookies), new Set(['who=ada']))
    await tab.close()
  }
})
