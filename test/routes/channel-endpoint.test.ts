import t from 'tap'
import type { RealtimeOptions } from '../../lib/options/options.ts'
import { ERROR } from '../../lib/protocol/channel-errors.ts'
import { DISCONNECT } from '../../lib/protocol/disconnect-codes.ts'
import { connect, testToken } from '../../lib/testing/index.ts'
import { buildApp, holdsNoToken } from '../support/app.ts'
import { commandBytes, repliesIn } from '../support/protobuf.ts'
import { Speaker } from '../support/speaker.ts'

/*
 * The route where the channel protocol is spoken: what the handshake, the application's options and its verification of
 * tokens mean to a client. What is spoken: test/channels/commands.
 */

const memory = true

async function build(t: Parameters<typeof buildApp>[0], options: RealtimeOptions = {}) {
  const built = await buildApp(t, options)
  built.app.channel('rooms/:room', {
    onSubscribe: true,
    history: { size: 10, ttl: 60_000 },
    onPublish: () => undefined
  })
  return built
}

const refusal = (promise: Promise<unknown>) => promise.catch((error: unknown) => error)

t.test('there is an endpoint once there is something to speak about, where the option says', async (t) => {
  const { app: without } = await buildApp(t, { auth: false })
  t.match(await connect(without, '/connection/websocket', { memory }).catch((error) => error), { statusCode: 404 })
  const { app } = await buildApp(t, { auth: false, channels: { url: '/live' } })
  app.rpc('a', () => 1)
  app.channel('b', { onSubscribe: true })
  await t.resolves(connect(app, '/live', { memory }))
  const response = await app.inject('/live')
  t.equal(response.statusCode, 426)
  t.match(response.headers, { upgrade: 'websocket' })
  t.match(response.json(), { code: 'FST_RT_UPGRADE_REQUIRED' })
})

t.test('by the token of the handshake', async (t) => {
  const { app } = await build(t)
  const speaker = await Speaker.open(app, { connect: false, token: testToken({ sub: 'ada' }) })
  const { connect } = await speaker.call({ connect: { name: 'js', unknown: true } })
  const [{ id, user } = {}] = app.realtime.connections()
  t.equal(user, 'ada')
  // Nothing expires by this client's clock: it has no other token to come with.
  t.same(connect, { client: id, version: 'fastify-realtime', ping: 28, pong: true })
})

t.test('by the token of connect', async (t) => {
  const { app, logs } = await build(t, { heartbeat: { interval: 5_000 } })
  const speaker = await Speaker.open(app, { connect: false })
  t.equal(app.realtime.connections()[0]?.user, undefined)
  const token = testToken({ sub: 'ada' }, { expiresIn: 100_000 })
  const { connect } = await speaker.call({ connect: { token } })
  t.match(connect, { expires: true, ping: 6, pong: true })
  const { ttl } = connect as { ttl: number }
  t.ok(ttl >= 88 && ttl <= 90, `a tenth before the end: ${ttl}`)
  t.equal(app.realtime.connections()[0]?.user, 'ada')
  await app.realtime.disconnect({ user: 'ada' })
  t.same(await speaker.closed(), { code: 3503, reason: 'force disconnect' })
  holdsNoToken(t, token, logs)
})

t.test('what is wrong with a token, and what is said of it', async (t) => {
  const { app, logs } = await build(t)
  const faults: [title: string, token: string, answer: object][] = [
    ['expired', testToken({}, { expiresIn: -60_000 }), ERROR.tokenExpired],
    ['of another key', testToken({}, { secret: 'x'.repeat(32) }), DISCONNECT.invalidToken],
    ['without exp', testToken({ exp: undefined }), DISCONNECT.invalidToken],
    ['none at all', 'x', DISCONNECT.invalidToken]
  ]
  for (const [title, token, answer] of faults) {
    const speaker = await Speaker.open(app, { memory, connect: false })
    speaker.send({ id: 1, connect: { token } })
    if ('reason' in answer) t.same(await speaker.closed(), answer, title)
    else t.same(await speaker.next(), { id: 1, error: answer }, title)
  }
  const speaker = await Speaker.open(app, { memory, connect: false })
  t.same(await speaker.call({ connect: {} }), { error: ERROR.unauthorized })
  t.same(
    logs.filter(({ msg }) => msg === 'token refused').map(({ code, fault, level }) => [code, fault, level]),
    ['expired', 'invalid', 'invalid', 'invalid'].map((fault) => ['FST_RT_UNAUTHORIZED', fault, 30])
  )
  for (const [, token] of faults.slice(0, 3)) holdsNoToken(t, token, logs)
})

t.test('a key that cannot be had for now', async (t) => {
  const outage = Object.assign(new Error('away'), { code: 'ECONNREFUSED' })
  let away = true
  const { app } = await build(t, {
    auth: {
      verify: () => {
        if (away) throw outage
        return { sub: 'ada', exp: Date.now() / 1000 + 60 }
      }
    }
  })
  const refused = await Speaker.open(app, { connect: false })
  t.same(await refused.call({ connect: { token: 'x' } }), { error: ERROR.internal })
  away = false
  const speaker = await Speaker.open(app, { connect: { token: 'x' } })
  away = true
  t.same(await speaker.call({ refresh: { token: 'x' } }), { error: ERROR.internal })
})

t.test('a wrong token in the handshake', async (t) => {
  const { app } = await build(t)
  const wrong = testToken({}, { secret: 'x'.repeat(32) })
  const expired = testToken({}, { expiresIn: -60_000 })
  t.match(await refusal(Speaker.open(app, { token: wrong })), { statusCode: 401 })
  t.match(await refusal(Speaker.open(app, { token: expired })), { statusCode: 401 })
  // A browser is told in the protocol's own words.
  const told = async (token: string) => (await Speaker.open(app, { token, origin: true, connect: false })).closed()
  t.same(await told(wrong), DISCONNECT.invalidToken)
  t.same(await told(expired), DISCONNECT.expired)
})

t.test('a token in the URL is no way to pass without one', async (t) => {
  const { app } = await build(t)
  t.match(await refusal(connect(app, `/connection/websocket?access_token=${testToken()}`)), { statusCode: 401 })
})

t.test('anonymous clients', async (t) => {
  const { app } = await build(t, { auth: false })
  const speaker = await Speaker.open(app, { connect: { token: 'whatever' } })
  t.match(await speaker.call({ subscribe: { channel: 'rooms/1' } }), { subscribe: {} })
  t.same(await speaker.call({ refresh: { token: 'x' } }), { error: ERROR.notAvailable })
  await app.realtime.refresh({ connection: app.realtime.connections()[0]?.id as string }, 4e9)
  t.match(await speaker.next(), { push: { refresh: { expires: true } } })
})

t.test('places per user, taken at connect', async (t) => {
  const { app } = await build(t, { limits: { connections: { perUser: 1 } } })
  const connect = { token: testToken({ sub: 'ada' }) }
  const first = await Speaker.open(app, { connect })
  const second = await Speaker.open(app, { connect: false })
  second.send({ id: 1, connect })
  t.same(await second.closed(), DISCONNECT.connectionLimit)
  await Speaker.open(app, { connect: { token: testToken({ sub: 'bob' }) } })
  await first.socket.close(1000)
  await t.resolves(Speaker.open(app, { connect }))
})

t.test('no connect in time', async (t) => {
  const { app } = await build(t, { auth: { timeout: 100 } })
  const speaker = await Speaker.open(app, { connect: false, token: testToken() })
  t.same(await speaker.closed(), DISCONNECT.stale)
})

t.test('expiry, put off by a refresh', async (t) => {
  const { app } = await build(t)
  const token = testToken({ sub: 'ada', exp: Date.now() / 1000 + 3 })
  const kept = await Speaker.open(app, { connect: { token } })
  const left = await Speaker.open(app, { connect: { token } })
  t.match((await kept.call({ refresh: { token: testToken({ sub: 'ada' }) } })).refresh, {
    client: String,
    expires: true,
    ttl: Number
  })
  t.same(await left.closed(), { code: 3005, reason: 'connection expired' })
  t.same(await kept.call({ ping: {} }), { ping: {} })
  await app.realtime.refresh({ user: 'ada' }, Math.floor(Date.now() / 1000) + 100)
  t.match(await kept.next(), { push: { refresh: { expires: true, ttl: Number } } })
})

t.test('the hooks of the endpoint are the application’s', async (t) => {
  const told: unknown[] = []
  const { app } = await build(t, {
    channels: {
      onConnect: ({ user, request, data }) => {
        told.push([user?.sub, request.headers['x-app'], data])
        return { data: 'welcome', subscriptions: ['rooms/1'] }
      },
      onMessage: ({ user, data }) => void told.push([user?.sub, data])
    }
  })
  const options = { memory, connect: false, token: testToken({ sub: 'ada' }), headers: { 'x-app': 'yes' } } as const
  const speaker = await Speaker.open(app, options)
  t.match(await speaker.call({ connect: { data: 1 } }), { connect: { data: 'welcome', subs: { 'rooms/1': {} } } })
  speaker.send({ send: { data: 2 } })
  await speaker.call({ ping: {} })
  t.same(told, [
    ['ada', 'yes', 1],
    ['ada', 2]
  ])
})

t.test('Protobuf: by its subprotocol, which the answer selects, or by the URL', async (t) => {
  const { app } = await build(t, { auth: false })
  const ping = commandBytes({ id: 1, connect: {} })
  const offers = [['centrifuge-protobuf'], ['realtime.v1', 'centrifuge-protobuf'], ['centrifuge-protobuf', 'bearer.x']]
  for (const protocols of offers) {
    const socket = await connect(app, '/connection/websocket', { memory, protocols })
    t.equal(socket.protocol, 'centrifuge-protobuf')
    socket.sendRaw(ping)
    const { data } = await socket.nextRaw()
    t.match(repliesIn(data as Buffer), [{ id: 1, connect: { version: 'fastify-realtime' } }])
  }
  const byUrl = await connect(app, '/connection/websocket?format=protobuf', { memory })
  byUrl.sendRaw(ping)
  t.match(repliesIn((await byUrl.nextRaw()).data as Buffer), [{ id: 1 }])
  byUrl.sendRaw('{"id":2,"ping":{}}')
  t.same(await byUrl.closed(), { code: 3506, reason: 'inappropriate protocol' })
  for (const query of ['?format=json', '?format=protobuf&format=x', '?format=']) {
    const json = await connect(app, `/connection/websocket${query}`, { memory })
    json.sendRaw('{"id":1,"connect":{}}')
    t.match(JSON.parse(`${(await json.nextRaw()).data}`), { id: 1, connect: {} })
    json.sendRaw(ping)
    t.same(await json.closed(), { code: 3506, reason: 'inappropriate protocol' })
  }
})

t.test('Protobuf is for the endpoint of the channel protocol only', async (t) => {
  const { app } = await build(t, { auth: false })
  app.ws('/', (socket) => socket.sendJson('hi'))
  const socket = await connect(app, '/', { memory, protocols: ['realtime.v1', 'centrifuge-protobuf'] })
  t.equal(socket.protocol, 'realtime.v1')
})
