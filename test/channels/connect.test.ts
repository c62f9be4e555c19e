import t from 'tap'
import { ChannelError } from '../../lib/index.ts'
import type { RealtimeOptions } from '../../lib/options.ts'
import { ERROR } from '../../lib/protocol/channel-errors.ts'
import { DISCONNECT } from '../../lib/protocol/disconnect-codes.ts'
import { connect, testToken } from '../../lib/testing/index.ts'
import { atLeast, buildApp, holdsNoToken } from '../support/app.ts'
import { Speaker } from '../support/speaker.ts'

/* Who a client is, and for how long. */

async function build(t: Parameters<typeof buildApp>[0], options: RealtimeOptions = {}) {
  const built = await buildApp(t, options)
  built.app.channel('rooms/:room', { history: { size: 10, ttl: 60_000 }, onPublish: () => undefined })
  return built
}

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

t.test('what follows connect in its frame waits for it', async (t) => {
  const { app } = await build(t, { auth: { verify: async () => ({ sub: 'ada', exp: Date.now() / 1000 + 60 }) } })
  const speaker = await Speaker.open(app, { connect: false })
  speaker.send(
    { id: 1, connect: { token: 'x' } },
    { id: 2, subscribe: { channel: 'rooms/1' } },
    { id: 3, publish: { channel: 'rooms/1', data: 1 } }
  )
  t.match(await speaker.next(), { id: 1, connect: {} })
  t.match(await speaker.next(), { id: 2, subscribe: {} })
  const rest = [await speaker.next(), await speaker.next()]
  t.ok(rest.some(({ id }) => id === 3))
  t.ok(rest.some(({ push }) => push !== undefined))
})

const refusal = (promise: Promise<unknown>) => promise.catch((error: unknown) => error)

const faults: [string, object, object | typeof DISCONNECT.stale][] = [
  ['no token', {}, { id: 1, error: ERROR.unauthorized }],
  ['an expired token', { token: testToken({}, { expiresIn: -60_000 }) }, { id: 1, error: ERROR.tokenExpired }],
  ['an invalid token', { token: testToken({}, { secret: 'x'.repeat(32) }) }, DISCONNECT.invalidToken],
  ['a token without exp', { token: testToken({ exp: undefined }) }, DISCONNECT.invalidToken],
  ['a token that is none', { token: 5 }, DISCONNECT.badRequest],
  ['subscriptions that are none', { subs: { a: 5 } }, DISCONNECT.badRequest]
]
for (const [title, connect, answer] of faults) {
  t.test(`connect with ${title}`, async (t) => {
    const { app } = await build(t, { auth: { timeout: 300 } })
    const speaker = await Speaker.open(app, { connect: false })
    speaker.send({ id: 1, connect }, { id: 2, subscribe: { channel: 'rooms/1' } })
    if ('reason' in answer) {
      t.same(await speaker.closed(), answer)
      return
    }
    t.same(await speaker.next(), answer)
    speaker.send({ id: 3, ping: {} })
    await speaker.socket.expectNothing()
    // It hangs up; one that doesn't is hung up on.
    t.same(await speaker.closed(), DISCONNECT.stale)
  })
}

t.test('something before connect', async (t) => {
  const { app } = await build(t)
  for (const command of [{ id: 1, ping: {} }, { send: {} }, {}]) {
    const speaker = await Speaker.open(app, { connect: false, token: testToken() })
    speaker.send(command)
    t.same(await speaker.closed(), DISCONNECT.badRequest)
  }
  const speaker = await Speaker.open(app, { connect: false, token: testToken() })
  speaker.raw(Buffer.from('{"id":1,"connect":{}}'))
  t.same(await speaker.closed(), DISCONNECT.inappropriateProtocol)
})

t.test('no connect in time', async (t) => {
  const { app } = await build(t, { auth: { timeout: 100 } })
  const speaker = await Speaker.open(app, { connect: false, token: testToken() })
  t.same(await speaker.closed(), DISCONNECT.stale)
})

t.test('a verification that never ends ends with the time for it', async (t) => {
  const { app } = await build(t, { auth: { timeout: 100, verify: () => new Promise(() => undefined) } })
  const speaker = await Speaker.open(app, { connect: false })
  speaker.send({ id: 1, connect: { token: 'x' } })
  t.same(await speaker.closed(), DISCONNECT.stale)
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

t.test('expiry, put off by a refresh', async (t) => {
  const { app } = await build(t)
  const token = testToken({ sub: 'ada', exp: Math.floor(Date.now() / 1000) + 2 })
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

t.test('a token in connect beside that of the handshake', async (t) => {
  const { app } = await build(t)
  const same = await Speaker.open(app, { token: testToken({ sub: 'ada' }), connect: false })
  t.match(await same.call({ connect: { token: testToken({ sub: 'ada' }) } }), { connect: { expires: true } })
  const other = await Speaker.open(app, { token: testToken({ sub: 'ada' }), connect: false })
  other.send({ id: 1, connect: { token: testToken({ sub: 'eve' }) } })
  t.same(await other.closed(), DISCONNECT.invalidToken)
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

t.test('onConnect describes, subscribes and refuses', async (t) => {
  const { app, logs } = await build(t, {
    channels: {
      onConnect: ({ user, data, name, version, connection, request }) => {
        if (data === 'out') throw new ChannelError(4500, 'out')
        if (data === 'no') throw new ChannelError(403, 'no')
        if (data === 'broken') throw new Error('broken')
        if (data === 'unknown') return { subscriptions: ['nowhere'] }
        if (data === 'many') return { subscriptions: Array.from({ length: 129 }, (_, n) => `rooms/${n}`) }
        if (data === 'plain') return
        t.match(
          { user, name, version, connection },
          { user: { sub: 'ada' }, name: 'n', version: 'v', connection: String }
        )
        t.equal(request.headers['x-app'], 'yes')
        return { info: { nick: 'A' }, data: { motd: 'hi' }, subscriptions: ['rooms/ada'] }
      }
    }
  })
  const options = { connect: false, token: testToken({ sub: 'ada', info: 'from the token' }) } as const
  const attempt = async (data: unknown) => {
    const speaker = await Speaker.open(app, options)
    speaker.send({ id: 1, connect: { data } })
    return speaker
  }
  t.same(await (await attempt('out')).closed(), { code: 4500, reason: 'out' })
  t.same(await (await attempt('no')).next(), { id: 1, error: { code: 403, message: 'no' } })
  t.same(await (await attempt('broken')).next(), { id: 1, error: ERROR.internal })
  t.same(await (await attempt('unknown')).next(), { id: 1, error: ERROR.unknownChannel })
  t.same(await (await attempt('many')).closed(), DISCONNECT.channelLimit)
  t.match(await (await attempt('plain')).next(), { id: 1, connect: {} })

  const speaker = await Speaker.open(app, { ...options, headers: { 'x-app': 'yes' } })
  const { connect } = await speaker.call({ connect: { data: 1, name: 'n', version: 'v' } })
  t.match(connect, { data: { motd: 'hi' }, subs: { 'rooms/ada': { recoverable: true, offset: 0 } } })
  await app.realtime.publish('rooms/ada', 'hello')
  t.same(await speaker.next(), { push: { channel: 'rooms/ada', pub: { data: 'hello', offset: 1 } } })
  t.equal(atLeast(logs, 'error').length, 1)
})

t.test('the server subscriptions of a client that comes back', async (t) => {
  const { app } = await build(t, { channels: { onConnect: () => ({ subscriptions: ['rooms/a', 'rooms/b'] }) } })
  const { epoch } = await app.realtime.publish('rooms/a', 1)
  await app.realtime.publish('rooms/a', 2)
  const speaker = await Speaker.open(app, { connect: false, token: testToken() })
  const { connect } = await speaker.call({
    connect: { subs: { 'rooms/a': { recover: true, epoch, offset: 1 }, 'rooms/b': {}, 'rooms/c': { recover: true } } }
  })
  const { subs } = connect as { subs: object }
  t.match(subs, {
    'rooms/a': { recovered: true, was_recovering: true, offset: 1, publications: [{ data: 2, offset: 2 }] },
    'rooms/b': { offset: 0 }
  })
  t.same(Object.keys(subs).sort(), ['rooms/a', 'rooms/b'])
})
