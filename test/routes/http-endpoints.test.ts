import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { connect as connectHttp2 } from 'node:http2'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { Registry } from 'prom-client'
import t, { type Test } from 'tap'
import { testToken } from '../../lib/testing/index.ts'
import { buildApp, holdsNoToken } from '../support/app.ts'
import { pending } from '../support/pending.ts'
import { RedisServer, until } from '../support/redis-server.ts'
import { answerOf, emulate, refused, StreamClient, type StreamOptions, send } from '../support/stream-client.ts'
import { originOf } from '../support/transports.ts'

/* The HTTP endpoints, with raw requests. */

const token = testToken({ sub: 'ada' })
const withToken = JSON.stringify({ id: 1, connect: { token } })
const bearer = { authorization: `Bearer ${token}` }
const both = ['http_stream', 'sse'] as const

async function open(t: Test, options: object = {}) {
  const built = await buildApp(t, { auth: false, ...options })
  built.app.channel('rooms/:room', { onSubscribe: true, onPublish: true, history: { size: 100, ttl: 60_000 } })
  return built
}

for (const transport of both) {
  t.test(`${transport}: the head, and what is pushed`, async (t) => {
    const { app } = await open(t)
    const client = await StreamClient.open(app, { transport })
    t.match(client.response.headers, {
      'cache-control': 'no-cache, no-store, no-transform',
      'x-accel-buffering': 'no',
      'content-type': transport === 'sse' ? 'text/event-stream; charset=utf-8' : 'application/x-ndjson'
    })
    t.equal(await client.send({ id: 2, subscribe: { channel: 'rooms/1' } }), 204)
    t.match(await client.next(), { id: 2, subscribe: { recoverable: true } })
    await app.realtime.publish('rooms/1', { text: 'a\nb' })
    t.match(await client.next(), { push: { channel: 'rooms/1', pub: { data: { text: 'a\nb' } } } })
    // Carriage returns between the tokens of a payload end no line.
    const { node, session } = client
    const data = '{"id":3,"publish":{"channel":"rooms/1","data":{"a":\r1}}}'
    t.equal((await emulate(await originOf(app), JSON.stringify({ node, session, data }))).status, 204)
    const messages = [await client.next(), await client.next()]
    t.match(
      messages.find(({ push }) => push !== undefined),
      { push: { pub: { data: { a: 1 } } } }
    )
  })

  t.test(`${transport}: the handshake is checked`, async (t) => {
    const ask = async (options: object, request: StreamOptions = {}) => {
      const { app } = await open(t, options)
      const { status, body, headers } = await refused(app, { transport, ...request })
      return { status, code: body.code, retry: headers['retry-after'] !== undefined }
    }
    const origin = { origin: 'https://evil.example' }
    t.match(await ask({}, { headers: origin }), { status: 403, code: 'FST_RT_FORBIDDEN_ORIGIN' })
    const total = { limits: { connections: { perAddress: 1 } } }
    const { app } = await open(t, total)
    const first = await StreamClient.open(app, { transport })
    t.match(await refused(app, { transport }), { status: 503, body: { code: 'FST_RT_CAPACITY' } })
    first.close()
    await until(() => app.realtime.connections().length === 0)
    await StreamClient.open(app, { transport })
    t.match(await ask({ auth: { verify: () => ({}) } }, { headers: { authorization: 'Bearer x' } }), {
      status: 401,
      code: 'FST_RT_UNAUTHORIZED'
    })
    const { app: draining } = await open(t, { drain: { window: 0 } })
    await originOf(draining)
    await draining.realtime.drain()
    t.match(await refused(draining, { transport }), { status: 503, body: { code: 'FST_RT_DRAINING' } })
  })

  t.test(`${transport}: a token in the header, in connect, or none in time`, async (t) => {
    const { app } = await open(t, { auth: { timeout: 100 } })
    await StreamClient.open(app, { transport, headers: bearer })
    await StreamClient.open(app, { transport, connect: withToken })
    t.same(
      app.realtime.connections().map(({ user }) => user),
      ['ada', 'ada']
    )
    const late = await StreamClient.begin(app, { transport })
    t.match(await late.rest(), [{ error: { code: 101 } }, { push: { disconnect: { code: 3_502 } } }])
  })

  t.test(`${transport}: a slow reader`, async (t) => {
    const { app } = await open(t, { limits: { buffered: { soft: 16_384, hard: 262_144 } } })
    app.channel('live/:room', { onSubscribe: true })
    const client = await StreamClient.open(app, { transport })
    await client.send({ id: 2, subscribe: { channel: 'live/1' } }, { id: 3, subscribe: { channel: 'rooms/1' } })
    t.same([(await client.next()).id, (await client.next()).id], [2, 3])
    client.response.pause()
    const data = 'x'.repeat(10_000)
    while (app.realtime.connections()[0]?.stats.dropped === 0) {
      await app.realtime.publish('live/1', data)
      await nextTurn()
    }
    for (let at = 0; at < 60; at++) await app.realtime.publish('rooms/1', `${at}${data}`)
    client.response.resume()
    let lagging = false
    const offsets: unknown[] = []
    while (offsets.length < 60) {
      const { push } = (await client.next()) as {
        push: { message?: unknown; channel?: string; pub: { offset: number } }
      }
      if (push.message !== undefined) lagging = true
      else if (push.channel === 'rooms/1') offsets.push(push.pub.offset)
    }
    t.ok(lagging)
    t.same(
      offsets,
      Array.from({ length: 60 }, (_, at) => at + 1)
    )
    client.response.pause()
    // Replies are never dropped, so they reach the hard limit.
    while (app.realtime.connections().length > 0) {
      await client.send({ id: 9, history: { channel: 'rooms/1', limit: 100 } })
    }
    client.response.resume()
    const rest = await client.rest().catch((error) => [error])
    t.ok(rest.length > 0)
  })

  t.test(`${transport}: a flood ends the stream`, async (t) => {
    const { app } = await open(t, { limits: { messages: { rate: 0.001, burst: 1 } } })
    const client = await StreamClient.open(app, { transport })
    const pings = Array.from({ length: 500 }, (_, at) => ({ id: at + 2, ping: {} }))
    for (let at = 0; at < 5; at++) await client.send(...pings)
    const messages = await client.rest()
    t.match(messages[0], { error: { code: 111 } })
    t.match(messages.at(-1), { push: { disconnect: { code: 3_013 } } })
    t.equal(await client.send({ id: 1, ping: {} }), 404)
  })
}

t.test('case 188: a token in cf_connect is in no log line, no error and no metric', async (t) => {
  const metrics = new Registry()
  const urls: unknown[] = []
  const { app, logs } = await buildApp(t, { metrics, origins: 'https://page.example' })
  app.channel('rooms/:room', { onSubscribe: true })
  app.addHook('onRequest', async (request) => {
    urls.push(request.url, request.originalUrl, request.query, request.raw.url, request.raw.rawHeaders)
    request.log.warn({ query: request.query, raw: request.raw.url }, 'seen')
  })
  await StreamClient.open(app, { transport: 'sse', connect: withToken })
  const answers: unknown[] = []
  const named = encodeURIComponent(withToken)
  for (const path of [
    `/connection/sse?cf_connect=${named}&cf_connect=${named}`,
    `/connection/sse?cf%5Fconnect=${named}`,
    `/connection/sse?cf_connect=%7B${token}`,
    `/connection/sse?cf_connect[]=${named}`,
    `/connection/%73se?cf_connect=${named}`,
    // Paths that are slightly wrong.
    ...['/connection/sse/?', '//connection/sse?', '/CONNECTION/sse?', '/connection/sse;'].map(
      (path) => `${path}cf_connect=${named}`
    ),
    `/connection/sse?access_token=${token}&cf_connect=${named}`
  ]) {
    const response = await send(`${await originOf(app)}${path}`, 'GET', {})
    if (response.statusCode === 200) response.destroy()
    else answers.push(await answerOf(response))
  }
  answers.push(
    await refused(app, { transport: 'sse', connect: withToken, headers: { origin: 'https://evil.example' } })
  )
  const bad = await StreamClient.begin(app, { transport: 'sse', connect: withToken.replace('.', '.x') })
  answers.push(await bad.rest())
  holdsNoToken(t, token, logs, urls, answers, await metrics.metrics())
  t.ok(urls.length > 0)
})

t.test('malformed requests', async (t) => {
  const { app } = await open(t)
  const origin = await originOf(app)
  const status = async (options: StreamOptions) => {
    const { status, body } = await refused(app, options)
    return [status, body.code]
  }
  const bad = [400, 'FST_RT_BAD_CONNECT']
  t.same(await status({ connect: 'x' }), bad)
  t.same(await status({ connect: '' }), bad)
  t.same(await status({ connect: '{"id":1,"connect":{}}\n{"id":2,"ping":{}}' }), bad)
  t.same(await status({ connect: '{"id":1,"ping":{}}' }), bad)
  t.same(await status({ connect: '{}' }), bad)
  t.same(await status({ transport: 'sse', path: '/connection/sse?x' }), bad)
  t.same(await status({ transport: 'sse', path: '/connection/sse?cf_connect' }), bad)
  t.same(await status({ transport: 'sse', connect: '[' }), bad)
  t.same(await status({ headers: { 'content-type': 'text/plain' } }), [415, 'FST_RT_CONTENT_TYPE'])
  t.same(await status({ transport: 'sse', method: 'POST', headers: { 'content-type': 'text/plain' } }), [
    415,
    'FST_RT_CONTENT_TYPE'
  ])
  t.same(await status({ connect: `"${'x'.repeat(70_000)}"` }), [413, 'FST_RT_BODY_TOO_LARGE'])
  const json = { 'content-type': 'application/json; charset=utf-8' }
  const post = async (body: string, headers: Record<string, string> = json) => {
    const answer = await emulate(origin, body, headers)
    return [answer.status, answer.body.code]
  }
  for (const body of ['', 'x', 'null', '{}', '{"node":"a","session":"b"}']) {
    t.same(await post(body), [400, 'FST_RT_BAD_EMULATION'])
  }
  t.same(await post('x', { 'content-type': 'text/plain' }), [415, 'FST_RT_CONTENT_TYPE'])
  t.same(await post('x'.repeat(70_000)), [413, 'FST_RT_BODY_TOO_LARGE'])
  const unknown = [404, 'FST_RT_UNKNOWN_SESSION']
  t.same(await post('{"node":"a","session":"b","data":"{}"}'), unknown)
  const client = await StreamClient.open(app, { transport: 'sse', method: 'POST' })
  const { node } = client
  t.same(await post(JSON.stringify({ node, session: client.session.slice(0, -1), data: '{}' })), unknown)
  t.same(await post(JSON.stringify({ node, session: `${client.session.slice(0, -1)}~`, data: '{}' })), unknown)
  t.same(await post(JSON.stringify({ node, session: '', data: '{}' })), unknown)
})

t.test('commands that wait are bounded', async (t) => {
  const { app } = await open(t, { limits: { maxQueue: 2 }, channels: { maxCalls: 1 } })
  const { promise: opened, resolve: open_ } = pending()
  app.rpc('wait', async ({ data }) => {
    await opened
    return data
  })
  const client = await StreamClient.open(app)
  const statuses: number[] = []
  for (let id = 2; id < 8; id++) statuses.push(await client.send({ id, rpc: { method: 'wait', data: id } }))
  t.same(statuses, [204, 204, 204, 204, 429, 429])
  open_()
  for (let id = 2; id < 6; id++) t.match(await client.next(), { id, rpc: { data: id } })
  t.equal(await client.send({ id: 8, rpc: { method: 'wait', data: 8 } }), 204)
  t.match(await client.next(), { id: 8 })
})

t.test('preflight requests, and pages of other origins', async (t) => {
  const origin = 'https://page.example'
  const { app } = await open(t, { origins: origin })
  const at = await originOf(app)
  for (const path of ['/connection/http_stream', '/connection/sse', '/emulation']) {
    const ask = async (from: string) => answerOf(await send(`${at}${path}`, 'OPTIONS', { origin: from }))
    t.match(await ask(origin), {
      status: 204,
      headers: {
        'access-control-allow-origin': origin,
        'access-control-allow-methods': /POST/,
        'access-control-allow-headers': 'authorization, content-type',
        vary: 'Origin'
      }
    })
    const evil = await ask('https://evil.example')
    t.equal(evil.status, 403)
    t.notOk(evil.headers['access-control-allow-origin'])
  }
  const client = await StreamClient.open(app, { headers: { origin } })
  t.match(client.response.headers, { 'access-control-allow-origin': origin })
})

t.test('hooks of the application run, and may be slow', async (t) => {
  const { app, logs } = await open(t, { limits: { upgradeTimeout: 100 } })
  app.addHook('preHandler', async (request, reply) => {
    reply.header('x-hook', 'yes')
    if (request.headers['x-refuse'] !== undefined) return reply.code(418).send({})
    if (request.headers['x-slow'] !== undefined) await new Promise(() => undefined)
    return undefined
  })
  const client = await StreamClient.open(app)
  t.match(client.response.headers, { 'x-hook': 'yes' })
  t.equal((await refused(app, { headers: { 'x-refuse': '1' } })).status, 418)
  t.match(await refused(app, { headers: { 'x-slow': '1' } }), {
    status: 503,
    body: { code: 'FST_RT_HANDSHAKE_TIMEOUT' }
  })
  t.ok(logs.some(({ code }) => code === 'FST_RT_HANDSHAKE_TIMEOUT'))
})

t.test('a hook that ends after the answer opens nothing', async (t) => {
  const { app } = await open(t, { limits: { upgradeTimeout: 100 } })
  const { promise: opened, resolve: go } = pending()
  const ended: number[] = []
  app.addHook('preHandler', async () => {
    await opened
    setImmediate(() => ended.push(1))
  })
  t.match(await refused(app), { status: 503, body: { code: 'FST_RT_HANDSHAKE_TIMEOUT' } })
  go()
  await until(() => ended.length === 1)
  t.same(app.realtime.connections(), [])
})

t.test('commands reach the node of their session through Redis, while there is one', async (t) => {
  const redis = await RedisServer.start(t)
  const [a, b] = await Promise.all([open(t, { redis: redis.url }), open(t, { redis: redis.url })])
  const client = await StreamClient.open(a.app)
  const { node, session } = client
  const post = async (to: string, data: object) =>
    emulate(await originOf(b.app), JSON.stringify({ node: to, session, data: JSON.stringify(data) }))
  t.equal((await post(node, { id: 2, subscribe: { channel: 'rooms/1' } })).status, 204)
  t.match(await client.next(), { id: 2, subscribe: { recoverable: true } })
  t.match(await b.app.realtime.connections({ cluster: true }), { connections: [{ transport: 'http_stream' }] })
  await redis.stop()
  await until(() => !b.app.realtime.ready())
  const answer = await post(randomUUID(), { id: 3, ping: {} })
  t.match(answer, { status: 503, body: { code: 'FST_RT_UNAVAILABLE' } })
  t.ok(answer.headers['retry-after'])
})

t.test('a client that leaves while hooks run leaves nothing', async (t) => {
  const { app } = await open(t, { limits: { connections: { total: 1 } } })
  const { promise: opened, resolve: go } = pending()
  let waiting = 0
  let done = 0
  app.addHook('preHandler', async ({ headers }) => {
    if (headers['x-wait'] === undefined) return
    waiting++
    await opened
    setImmediate(() => done++)
  })
  const abort = new AbortController()
  const left = fetch(`${await originOf(app)}/connection/http_stream`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-wait': '1' },
    body: '{"id":1,"connect":{}}',
    signal: abort.signal
  })
  await until(() => waiting === 1)
  abort.abort()
  await t.rejects(left)
  // Its place is free once the server has noticed.
  await until(async () => {
    const client = await StreamClient.open(app).catch(() => undefined)
    client?.close()
    return client !== undefined
  })
  go()
  await until(() => done === 1)
  await until(() => app.realtime.connections().length === 0)
})

t.test('HTTP/2', async (t) => {
  const { app, logs } = await buildApp(
    t,
    { auth: false, channels: { websocket: false } },
    { fastify: { http2: true } as never }
  )
  app.channel('rooms/:room', { onSubscribe: true, onPublish: true })
  const session = connectHttp2(await originOf(app as never))
  t.teardown(() => session.destroy())
  const ask = (headers: object, body?: string) => {
    const stream = session.request({ ':method': 'POST', 'content-type': 'application/json', ...headers })
    stream.setEncoding('utf8')
    stream.end(body)
    return stream
  }
  const stream = ask({ ':path': '/connection/http_stream' }, '{"id":1,"connect":{}}')
  const [head] = await once(stream, 'response')
  t.match(head, { ':status': 200, 'x-accel-buffering': 'no' })
  const [text] = (await once(stream, 'data')) as [string]
  const { session: id, node } = JSON.parse(text).connect
  const emulated = ask(
    { ':path': '/emulation' },
    JSON.stringify({ session: id, node, data: '{"id":2,"subscribe":{"channel":"rooms/1"}}' })
  )
  t.match(await once(emulated, 'response'), [{ ':status': 204 }])
  t.match(await once(stream, 'data'), [/"subscribe"/])
  const secret = `${token.split('.')[0]}.e30.secret`
  const path = `/connection/sse?cf_connect=${encodeURIComponent(JSON.stringify({ id: 1, connect: { token: secret } }))}`
  const events = ask({ ':method': 'GET', ':path': path })
  t.match(await once(events, 'response'), [{ ':status': 200, 'content-type': 'text/event-stream; charset=utf-8' }])
  holdsNoToken(t, secret, logs)
  const refusal = ask({ ':path': '/connection/http_stream', origin: 'https://evil.example' }, '{}')
  t.match(await once(refusal, 'response'), [{ ':status': 403 }])
  const large = ask({ ':path': '/emulation' }, 'x'.repeat(70_000))
  t.match(await once(large, 'response'), [{ ':status': 413 }])
  stream.close()
  await until(() => app.realtime.connections().length === 1)
  const closed = app.close()
  t.match(await once(events, 'data'), [/connect/])
  events.resume()
  await once(events, 'end')
  session.destroy()
  await closed
})
