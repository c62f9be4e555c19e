import { once } from 'node:events'
import t from 'tap'
import { ERROR } from '../../lib/protocol/channel-errors.ts'
import { testSecret, testToken } from '../../lib/testing/index.ts'
import { atLeast, buildApp, holdsNoToken } from '../support/app.ts'
import { connect } from '../support/connect.ts'
import { forge, goodClaims, hmac } from '../support/jwt.ts'
import { rawUpgrade } from '../support/raw-socket.ts'
import { Speaker } from '../support/speaker.ts'
import { goodToken, Stage } from '../support/stage.ts'

/* How long a token's connection lives, and how many a user has. The numbers are those of the list of cases. */

const echo = async (socket: { messages(): AsyncIterable<unknown>; sendJson(value: unknown): void }) => {
  for await (const message of socket.messages()) socket.sendJson(message)
}
const header = { alg: 'HS256', typ: 'JWT' }
const expiring = (ms: number, sub = 'ada') =>
  forge(header, { ...goodClaims({ sub }), exp: (Date.now() + ms) / 1000 }, hmac(testSecret))

t.test('B47: at its exp a connection is closed with 4401, busy or idle, and not before', async (t) => {
  const stage = await Stage.open(t, {}, {}, (app) => {
    app.get('/raw', { websocket: true }, (socket) => {
      socket.on('message', (data) => socket.send(data))
    })
  })
  for (const [how, path] of Object.entries({ idle: '/ws', busy: '/ws', 'a plain route': '/raw' })) {
    await t.test(how, async (t) => {
      const start = performance.now()
      // Long enough to come in with it, however busy the machine.
      const token = expiring(2_000)
      const socket = await connect(stage.app, path, { token })
      const end = socket.closed()
      if (how === 'busy') {
        const send = () => {
          if (socket.raw.readyState !== socket.raw.OPEN) return
          socket.send('busy')
          socket.raw.once('message', () => setImmediate(send))
        }
        send()
      }
      t.same(await end, { code: 4401, reason: 'token expired' })
      // How late it may be is tested by a fake clock: test/connection/liveness.test.ts.
      const lived = performance.now() - start
      t.ok(lived > 1_990, `${lived} ms`)
      await stage.after(t, { token })
    })
  }
})

t.test('B46: an exp in 3,000 years is no reason to close at once', async (t) => {
  const stage = await Stage.open(t)
  const token = forge(header, goodClaims({ sub: 'eve', exp: 9e10 }), hmac(testSecret))
  const socket = await connect(stage.app, '/ws', { token })
  await socket.expectNothing()
  socket.send(1)
  t.same(await socket.next(), { echo: 1 })
  await socket.close()
  await stage.after(t, { token })
})

t.test('B47: a moved expiry holds from then on', async (t) => {
  const { app } = await buildApp(t)
  app.ws('/ws', {}, echo)
  const socket = await connect(app, '/ws', { token: expiring(2_000) })
  const witness = await connect(app, '/ws', { token: expiring(2_300, 'witness') })
  await app.realtime.refresh({ user: 'ada' }, Math.floor(Date.now() / 1000) + 3_600)
  t.match(await witness.closed(), { code: 4401 })
  socket.send('still here')
  t.equal(await socket.next(), 'still here', 'whoever was to go first is here')
})

for (const hours of [1, -1]) {
  t.test(`B51: the clock is set by ${hours} h: nobody is closed before their time, nor later`, async (t) => {
    const { now } = Date
    t.teardown(() => {
      Date.now = now
    })
    const { app } = await buildApp(t)
    app.ws('/ws', {}, echo)
    const socket = await connect(app, '/ws', { token: expiring(1_800_000) })
    const witness = await connect(app, '/ws', { token: expiring(2_000, 'witness') })
    Date.now = () => now() + hours * 3_600_000
    // Its patience is seconds, and the clock was set by an hour.
    t.match(await witness.closed(), { code: 4401 })
    socket.send('still here')
    t.equal(await socket.next(), 'still here')
  })
}

t.test('B54: keys', async (t) => {
  let fetched = 0
  const failures: unknown[] = [
    Object.assign(new TypeError('fetch failed'), {
      cause: Object.assign(new Error(goodToken), { code: 'ECONNREFUSED' })
    }),
    Object.assign(new Error('getaddrinfo'), { code: 'EAI_AGAIN' }),
    Object.assign(new Error('aborted'), { name: 'TimeoutError' }),
    Object.assign(new Error('aborted'), { name: 'AbortError' }),
    Object.assign(new Error('Bad Gateway'), { statusCode: 502 }),
    Object.assign(new Error('headers'), { code: 'UND_ERR_HEADERS_TIMEOUT' }),
    Object.assign(new Error('wrapped'), {
      code: 'FAST_JWT_KEY_FETCHING_ERROR',
      originalError: Object.assign(new Error(), { code: 'ETIMEDOUT' })
    })
  ]
  const verdicts: unknown[] = [
    new TypeError('no such kid'),
    Object.assign(new Error('no such key'), { statusCode: 404 }),
    Object.assign(new Error('expired'), { code: 'FAST_JWT_EXPIRED' }),
    Object.assign(new Error('disallowed'), { code: 'FST_JWT_AUTHORIZATION_TOKEN_INVALID', statusCode: 500 }),
    Object.assign(new Error('no key'), { code: 'FAST_JWT_KEY_FETCHING_ERROR' }),
    Object.assign(new Error('expired'), { code: 'ERR_JWT_EXPIRED' }),
    'a string',
    undefined,
    null
  ]
  let failure: unknown
  let fails = false
  const secret = async () => {
    fetched++
    if (fails) throw failure
    return testSecret
  }
  for (const [name, source] of Object.entries({ 'of @fastify/jwt': 'jwt', 'of auth.verify': 'verify' })) {
    await t.test(name, async (t) => {
      fails = false
      const verify = async (token: string) => {
        await secret()
        return JSON.parse(Buffer.from(token.split('.')[1] as string, 'base64url').toString())
      }
      const stage =
        source === 'jwt'
          ? await Stage.open(t, {}, { jwt: { secret: async () => secret() } as never })
          : await Stage.open(t, { auth: { verify } }, { jwt: false })
      for (failure of failures) {
        fails = true
        const { response } = await stage.upgrade({ headers: { Origin: 'http://localhost' } })
        t.equal(response.statusCode, 503, String(failure))
        t.match(response.headers, { 'retry-after': /^\d+$/ })
        t.match(JSON.parse(response.body), { code: 'FST_RT_KEYS_UNAVAILABLE' })
        t.same(atLeast(stage.logs, 'warn'), [])
        fails = false
        await stage.after(t, { places: [response] })
      }
      for (failure of source === 'jwt' ? verdicts.slice(0, -3) : verdicts) {
        fails = true
        const { response } = await stage.upgrade()
        t.equal(response.statusCode, 401, String(failure))
        fails = false
        await stage.after(t, { places: [response] })
      }
      t.ok(fetched > 0)
    })
  }
})

t.test('B56: a user’s limit', async (t) => {
  const { app, logs } = await buildApp(t, { limits: { connections: { perUser: 3 } } })
  app.ws('/ws', {}, echo)
  const token = testToken({ sub: 'ada' })
  const offer = { path: '/ws', protocols: ['realtime.v1', `bearer.${token}`] }
  const three = await Promise.all([1, 2, 3].map(() => connect(app, '/ws', { token })))
  const port = (app.server.address() as { port: number }).port
  for (let i = 0; i < 20; i++) {
    const { response } = await rawUpgrade(port, offer)
    t.equal(response.statusCode, 429)
    t.match(response.headers, { 'retry-after': /^\d+$/ })
    t.match(JSON.parse(response.body), { code: 'FST_RT_USER_CAPACITY' })
  }
  const browser = await connect(app, '/ws', { token, origin: true })
  t.same(await browser.closed(), { code: 4409, reason: 'too many connections' })
  const other = await connect(app, '/ws', { token: testToken({ sub: 'grace' }) })
  other.send(1)
  t.equal(await other.next(), 1, 'another user is let in')

  const gone = Promise.race(Array.from(app.websocketServer.clients, (client) => once(client, 'close')))
  await three[0]?.close(1000)
  await gone
  const again = await connect(app, '/ws', { token })
  again.send(2)
  t.equal(await again.next(), 2, 'once one has gone, another may come')
  holdsNoToken(t, token, logs)
})

t.test('B56: twenty handshakes of one user at a time: no more than the limit get in', async (t) => {
  const { app } = await buildApp(t, { limits: { connections: { perUser: 3 } } })
  app.ws('/ws', {}, echo)
  const token = testToken({ sub: 'ada' })
  const all = await Promise.allSettled(Array.from({ length: 20 }, () => connect(app, '/ws', { token })))
  t.equal(all.filter(({ status }) => status === 'fulfilled').length, 3)
})

t.test('B56: a slot in total is given back however the connection ends', async (t) => {
  const { app } = await buildApp(t, { auth: false, limits: { connections: { total: 1 } } })
  app.ws('/ws', {}, echo)
  const ways = ['close', 'terminate', 'half-close', 'refused', 'server'] as const
  await app.listen({ host: '127.0.0.1', port: 0 })
  const port = (app.server.address() as { port: number }).port
  for (const way of ways) {
    const closed = once(app.server, 'connection').then(
      // Not by once(), which rejects where the connection was reset.
      ([stream]) => new Promise((resolve) => stream.once('close', resolve))
    )
    const socket = await rawUpgrade(port, {
      path: '/ws',
      protocols: way === 'refused' ? ['a', 'a'] : [],
      headers: way === 'refused' ? {} : { 'Sec-WebSocket-Protocol': undefined }
    })
    t.equal(socket.response.statusCode, way === 'refused' ? 400 : 101, way)
    if (way === 'close') socket.send({ opcode: 8 })
    if (way === 'terminate') socket.reset()
    if (way === 'half-close') socket.end()
    if (way === 'server') for (const client of app.websocketServer.clients) client.terminate()
    if (way === 'close') socket.end()
    await closed
    socket.destroy()
  }
  const last = await connect(app, '/ws')
  const refused = await connect(app, '/ws', { origin: true }).catch((error: unknown) => error)
  t.match(refused, { statusCode: 503 }, 'plain HTTP for a browser too')
  await last.close()
})

t.test('B48, B49: a refresh with another user’s token, or with one that is no good, changes nothing', async (t) => {
  const { app } = await buildApp(t)
  app.channel('a', { onSubscribe: true })
  const speaker = await Speaker.open(app, { connect: { token: expiring(2_000) } })
  const bad = {
    'of another user': [testToken({ sub: 'eve' }), ERROR.permissionDenied],
    expired: [testToken({ sub: 'ada' }, { expiresIn: -60_000 }), { ...ERROR.tokenExpired, temporary: true }],
    forged: [forge(header, goodClaims({ sub: 'ada' }), hmac('another secret')), ERROR.unauthorized]
  } as const
  for (const [how, [token, error]] of Object.entries(bad)) {
    t.same(await speaker.call({ refresh: { token } }), { error }, how)
  }
  t.equal(app.realtime.connections()[0]?.user, 'ada')
  t.match(await speaker.call({ subscribe: { channel: 'a' } }), { subscribe: {} }, 'the connection goes on')
  t.match(await speaker.closed(), { code: 3005 }, 'until its own token expires')
})
