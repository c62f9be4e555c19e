import cookie from '@fastify/cookie'
import session from '@fastify/session'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import t, { type Test } from 'tap'
import { WebSocket } from 'ws'
import type { RealtimeOptions } from '../../lib/options/options.ts'
import { CLOSE } from '../../lib/protocol/close-codes.ts'
import { DISCONNECT } from '../../lib/protocol/disconnect-codes.ts'
import { testSecret, testToken } from '../../lib/testing/index.ts'
import { buildApp } from '../support/app.ts'
import { centrifuge, endpointOf, next } from '../support/centrifuge.ts'
import { connect } from '../support/connect.ts'
import { Speaker } from '../support/speaker.ts'

/* Case 126: browsers that are known by a cookie, with a session behind it or a token in it. */

interface Way {
  readonly name: string
  /** An application where `POST /login` gives the cookie of a user. */
  build(t: Test, options?: RealtimeOptions): Promise<FastifyInstance>
  /** The cookie of a user whose login ends after so many milliseconds. */
  cookieOf(app: FastifyInstance, user: string, expiresIn?: number): Promise<string>
}

type Login = { user: string; exp: number }
type WithSession = FastifyRequest & { session: { login?: Login } }

const bySession: Way = {
  name: 'a session',
  async build(t, { auth, ...options } = {}) {
    const authenticate = (request: FastifyRequest) => {
      const { login } = (request as WithSession).session
      return login && { sub: login.user, exp: login.exp }
    }
    const { app } = await buildApp(
      t,
      { ...options, auth: { authenticate, sources: [], ...auth } },
      {
        jwt: false,
        before: async (app) => {
          await app.register(cookie)
          await app.register(session, { secret: 's'.repeat(32), cookie: { secure: false } })
        }
      }
    )
    app.post('/login', async (request) => {
      ;(request as WithSession).session.login = request.body as Login
      return {}
    })
    return app
  },
  async cookieOf(app, user, expiresIn = 60_000) {
    const response = await app.inject({
      method: 'POST',
      url: '/login',
      payload: { user, exp: (Date.now() + expiresIn) / 1000 }
    })
    return (response.headers['set-cookie'] as string).split(';')[0] as string
  }
}

const byToken: Way = {
  name: 'a token in a cookie',
  async build(t, { auth, ...options } = {}) {
    const { app } = await buildApp(
      t,
      { ...options, auth: { sources: ['subprotocol', 'cookie'], ...auth } },
      {
        jwt: { secret: testSecret, cookie: { cookieName: 'token', signed: false } },
        before: (app) => app.register(cookie)
      }
    )
    return app
  },
  cookieOf: async (_app, sub, expiresIn = 60_000) =>
    `token=${testToken({ sub, exp: (Date.now() + expiresIn) / 1000 })}; other=1`
}

for (const { name, build, cookieOf } of [bySession, byToken]) {
  t.test(`case 126: with ${name} a browser is in, with its user, on sockets and channels`, async (t) => {
    const app = await build(t)
    const seen: unknown[] = []
    const preHandler = async (request: FastifyRequest) => void seen.push((request.user as { sub?: string }).sub)
    app.ws('/ws', { preHandler }, async (socket) => {
      socket.sendJson(socket.user?.sub)
      for await (const _ of socket.messages());
    })
    app.rpc('who', ({ user, request }) => [user?.sub, (request.user as { sub?: string }).sub])
    const headers = { cookie: await cookieOf(app, 'ada') }
    const socket = await connect(app, '/ws', { headers, origin: true })
    t.equal(await socket.next(), 'ada')
    t.strictSame(seen, ['ada'])
    const speaker = await Speaker.open(app, { headers, origin: true })
    t.strictSame(await speaker.call({ rpc: { method: 'who' } }), { rpc: { data: ['ada', 'ada'] } })
    const client = centrifuge(t, await endpointOf(app), {
      websocket: class extends WebSocket {
        constructor(url: string | URL) {
          super(url, { headers })
        }
      }
    })
    client.connect()
    await next(client, 'connected')
    client.disconnect()
    await app.realtime.disconnect({ user: 'ada' })
    t.match(await socket.closed(), { code: CLOSE.forbidden.code })
    t.match(await speaker.closed(), DISCONNECT.forceStop)
  })

  t.test(`case 126: with ${name}, what does not let anybody in`, async (t) => {
    const app = await build(t)
    app.ws('/ws', async () => undefined)
    app.channel('a')
    const good = await cookieOf(app, 'ada')
    const spoilt = `${good.split(';')[0]}x`
    const evil = 'https://evil.example'
    for (const path of ['/ws', '/connection/websocket']) {
      t.equal(await statusOf(connect(app, path, { headers: { cookie: good }, origin: evil })), 403)
      t.equal(await statusOf(connect(app, path, { headers: { cookie: spoilt } })), 401)
      const browser = await connect(app, path, { headers: { cookie: spoilt }, origin: true })
      t.match(await browser.closed(), path === '/ws' ? { code: CLOSE.unauthorized.code } : DISCONNECT.invalidToken)
    }
    t.equal(await statusOf(connect(app, '/ws')), 401)
    const expired = await cookieOf(app, 'ada', -1_000)
    t.equal(await statusOf(connect(app, '/ws', { headers: { cookie: expired } })), 401)
  })

  t.test(`case 126: with ${name}, a user's places and the end of the login hold`, async (t) => {
    const app = await build(t, { limits: { connections: { perUser: 1 } } })
    app.ws('/ws', async (socket) => {
      for await (const _ of socket.messages());
    })
    const [ada, bob] = [await cookieOf(app, 'ada', 3_000), await cookieOf(app, 'bob')]
    const socket = await connect(app, '/ws', { headers: { cookie: ada } })
    t.equal(await statusOf(connect(app, '/ws', { headers: { cookie: ada } })), 429)
    await connect(app, '/ws', { headers: { cookie: bob } })
    t.match(await socket.closed(), { code: CLOSE.unauthorized.code, reason: 'token expired' })
  })
}

t.test(
  'case 126: without a token or a session a channel client may still bring a token, if one can be verified',
  async (t) => {
    const authenticate = () => undefined
    const { app } = await buildApp(t, { auth: { authenticate } })
    app.rpc('who', ({ user }) => user?.sub)
    const speaker = await Speaker.open(app, { connect: { token: testToken({ sub: 'ada' }) } })
    t.strictSame(await speaker.call({ rpc: { method: 'who' } }), { rpc: { data: 'ada' } })
    const alone = await bySession.build(t)
    alone.rpc('who', ({ user }) => user?.sub)
    t.equal(await statusOf(connect(alone, '/connection/websocket')), 401)
    const known = await Speaker.open(alone, {
      connect: false,
      headers: { cookie: await bySession.cookieOf(alone, 'ada') }
    })
    known.send({ id: 1, connect: { token: testToken({ sub: 'ada' }) } })
    t.match(await known.closed(), DISCONNECT.invalidToken, 'a token that nothing verifies')
  }
)

t.test('case 126: a route may ask for cookies where others do not', async (t) => {
  const app = await byToken.build(t, { auth: { sources: ['subprotocol', 'authorization'] } })
  app.ws('/plain', async () => undefined)
  const config = { realtime: { auth: { sources: ['cookie' as const] }, origins: '*' } }
  t.throws(() => app.ws('/bad', { config }, async () => undefined), {
    code: 'FST_RT_INVALID_OPTION',
    message: /name the origins/
  })
  app.ws('/cookie', { config: { realtime: { auth: { sources: ['cookie'] } } } }, async (socket) =>
    socket.sendJson(socket.user?.sub)
  )
  const authenticate = ({ headers }: FastifyRequest) => ({ sub: `guest of ${headers.host}` })
  app.ws('/guest', { config: { realtime: { auth: { authenticate } } } }, async (socket) =>
    socket.sendJson(socket.user?.sub)
  )
  const headers = { cookie: await byToken.cookieOf(app, 'ada') }
  t.equal(await statusOf(connect(app, '/plain', { headers })), 401, 'B58: they authenticate nobody by default')
  t.equal(await (await connect(app, '/cookie', { headers })).next(), 'ada')
  t.match(await (await connect(app, '/guest', { headers })).next(), /^guest of 127\.0\.0\.1/)
})

const statusOf = async (attempt: Promise<unknown>) =>
  ((await attempt.catch((error: unknown) => error)) as { statusCode?: number }).statusCode
