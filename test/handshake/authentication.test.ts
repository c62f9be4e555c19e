import cookie from '@fastify/cookie'
import jwt from '@fastify/jwt'
import type { FastifyRequest } from 'fastify'
import t from 'tap'
import type { RealtimeOptions } from '../../lib/options/options.ts'
import { forbidden } from '../../lib/protocol/channel-errors.ts'
import { connect, testSecret, testToken } from '../../lib/testing/index.ts'
import { type BuildOptions, buildApp } from '../support/app.ts'

/* Who a client is, over handshakes. How @fastify/jwt is asked: jwt.test.ts; claims one by one: claim-rules.test.ts. */

const statusOf = async (attempt: Promise<unknown>) =>
  ((await attempt.catch((error: unknown) => error)) as { statusCode?: number }).statusCode

t.test('@fastify/jwt is handed the token however the application has it look for tokens', async (t) => {
  const cookie = { cookieName: 'token', signed: false }
  const elsewhere = {
    'in the header': {},
    'with extractToken': { verify: { extractToken: () => 'not the one' } },
    'in a cookie only': { cookie, verify: { onlyCookie: true } },
    'in a cookie too': { cookie },
    'in a namespace that keeps the method’s name': { namespace: 'inner', jwtVerify: 'jwtVerify' }
  }
  for (const [how, options] of Object.entries(elsewhere)) {
    await t.test(how, async (t) => {
      const { app } = await buildApp(t, {}, { jwt: { secret: testSecret, ...options } as never })
      const seen: unknown[] = []
      app.ws('/who', async (socket, request) => {
        seen.push(request.headers.authorization)
        socket.sendJson(socket.user?.sub)
      })
      const token = testToken({ sub: 'ada' })
      t.equal(await (await connect(app, '/who', { token })).next(), 'ada')
      const headers = { authorization: 'Basic YWRhOmFkYQ==' }
      t.equal(await (await connect(app, '/who', { token, headers })).next(), 'ada', 'beside another header')
      t.same(seen, [undefined, headers.authorization], 'which is as it was')
      t.equal(await statusOf(connect(app, '/who', { headers: { cookie: `token=${token}` } })), 401)
    })
  }
})

t.test(
  'a jwtVerify that an application has put in its place is believed by its promise, or by its return',
  async (t) => {
    type Verify = (...args: unknown[]) => unknown
    const places: Record<string, (own: Verify) => Verify> = {
      // It hands over all arguments: a callback would get the error, and the promise would not.
      'a wrapper that returns a promise': (own) =>
        async function (this: unknown, ...args) {
          return own.apply(this, args)
        },
      'a wrapper that returns what its own returns': (own) =>
        function (this: unknown, ...args) {
          return own.apply(this, args)
        },
      'a function without a promise': () =>
        function (this: FastifyRequest) {
          if (this.headers.authorization?.endsWith('AAAA')) throw new Error('forged')
        } as Verify
    }
    for (const [how, replace] of Object.entries(places)) {
      const hook = async (request: FastifyRequest) => {
        Object.assign(request, { jwtVerify: replace(request.jwtVerify as Verify) })
      }
      const { app } = await buildApp(t, {}, { before: (app) => void app.addHook('onRequest', hook) })
      app.ws('/who', async (socket) => socket.sendJson(socket.user?.sub))
      const token = testToken({ sub: 'ada' })
      t.equal(await (await connect(app, '/who', { token })).next(), 'ada', how)
      const forged = `${token.slice(0, -4)}AAAA`
      t.equal(await statusOf(connect(app, '/who', { token: forged })), 401, how)
    }
  }
)

t.test('a verifier’s own kind of promise is waited for', async (t) => {
  const slow = (settle: (resolve: (value: unknown) => void, reject: (error: Error) => void) => void) =>
    Object.fromEntries([['then', (...both: Parameters<typeof settle>) => void setImmediate(settle, ...both)]]) as never
  const claims = { sub: 'ada', exp: Date.now() / 1000 + 60 }
  const verify = (token: string) =>
    slow((resolve, reject) => (token === 'good' ? resolve(claims) : reject(new Error('no'))))
  const { app } = await buildApp(t, { auth: { verify } }, { jwt: false })
  app.ws('/who', async (socket) => socket.sendJson(socket.user?.sub))
  t.equal(await (await connect(app, '/who', { token: 'good' })).next(), 'ada')
  t.equal(await statusOf(connect(app, '/who', { token: 'bad' })), 401)
})

t.test('the claims are the token’s own, whatever formatUser makes of them', async (t) => {
  const formatUser = () => ({ sub: 'somebody else' }) as never
  const { app } = await buildApp(t, {}, { jwt: { secret: testSecret, formatUser } })
  app.ws('/who', async (socket) => socket.sendJson(socket.user?.sub))
  t.equal(await (await connect(app, '/who', { token: testToken({ sub: 'ada' }) })).next(), 'ada')
})

t.test('a verifier of the application’s own is not held to what @fastify/jwt demands', async (t) => {
  const jwt = { secret: testSecret, verify: { allowedIss: 'https://id.example' } }
  const exp = Date.now() / 1000 + 60
  const verify = async (token: string) => ({ sub: token, exp })
  const { app } = await buildApp(t, { auth: { verify } }, { jwt })
  app.ws('/who', async (socket) => socket.sendJson(socket.user?.sub))
  t.equal(await (await connect(app, '/who', { token: 'opaque' })).next(), 'opaque')
})

t.test('a verifier that gives no claims refuses', async (t) => {
  for (const claims of [undefined, null, 'ada', false]) {
    const { app } = await buildApp(t, { auth: { verify: () => claims as never } })
    app.ws('/who', async () => undefined)
    t.equal(await statusOf(connect(app, '/who', { token: 'opaque' })), 401)
  }
})

t.test('requiredClaims may ask for less, or more', async (t) => {
  const verify = () => ({ tenant: 'a' }) as never
  const { app } = await buildApp(t, { auth: { verify, requiredClaims: ['tenant'] } })
  app.ws('/a', async (socket) => socket.sendJson(socket.user))
  app.ws('/b', { config: { realtime: { auth: { requiredClaims: ['tenant', 'role'] } } } }, async () => undefined)
  t.same(await (await connect(app, '/a', { token: 'opaque' })).next(), { tenant: 'a' })
  t.equal(await statusOf(connect(app, '/b', { token: 'opaque' })), 401)
})

t.test('auth.authenticate is asked if no token was offered, and only then', async (t) => {
  const asked: unknown[] = []
  const authenticate = async ({ headers }: FastifyRequest) => {
    asked.push(headers['x-user'])
    return headers['x-user'] === undefined ? undefined : { sub: String(headers['x-user']) }
  }
  const { app } = await buildApp(t, { auth: { authenticate } })
  app.ws('/who', async (socket, request) => socket.sendJson([socket.user, request.user]))
  const headers = { 'x-user': 'kim' }
  t.strictSame(await (await connect(app, '/who', { headers })).next(), [{ sub: 'kim' }, { sub: 'kim' }])
  t.equal(await statusOf(connect(app, '/who')), 401)
  t.strictSame(asked, ['kim', undefined])
  t.match(await (await connect(app, '/who', { headers, token: testToken({ sub: 'ada' }) })).next(), [{ sub: 'ada' }])
  t.equal(await statusOf(connect(app, '/who', { headers, token: 'bad' })), 401)
  t.equal(asked.length, 2, 'not beside a token, good or bad')
})

t.test('auth.authenticate alone needs no @fastify/jwt, and then no token is any good', async (t) => {
  const authenticate = () => ({ sub: 'kim', exp: Date.now() / 1000 + 60 })
  const { app, logs } = await buildApp(t, { auth: { authenticate, sources: ['authorization'] } }, { jwt: false })
  app.ws('/who', async (socket, request) => socket.sendJson([socket.user?.sub, (request as { user?: unknown }).user]))
  t.match(await (await connect(app, '/who')).next(), ['kim', { sub: 'kim' }])
  const headers = { authorization: `Bearer ${testToken()}` }
  t.equal(await statusOf(connect(app, '/who', { headers })), 401)
  t.match(logs.at(-1) && logs.find(({ msg }) => msg === 'handshake refused'), { reason: /nothing to verify it/ })
})

t.test('what auth.authenticate gives is checked as claims are, and need not end', async (t) => {
  const claims: Record<string, unknown> = {
    '/none': undefined,
    '/null': null,
    '/no-sub': {},
    '/number': { sub: 7 },
    '/past': { sub: 'kim', exp: 1 }
  }
  const { app } = await buildApp(t, { auth: { authenticate: ({ url }) => claims[url] as never } }, { jwt: false })
  for (const url of Object.keys(claims)) app.ws(url, async () => undefined)
  const strict = { realtime: { auth: { authenticate: () => ({ sub: 'kim' }), requiredClaims: ['sub', 'tenant'] } } }
  app.ws('/strict', { config: strict }, async () => undefined)
  for (const url of Object.keys(claims)) t.equal(await statusOf(connect(app, url)), 401, url)
  t.equal(await statusOf(connect(app, '/strict')), 401, 'claims that are asked for')
})

t.test('what auth.authenticate throws: a client’s fault is a 401, the server’s own is not', async (t) => {
  const thrown: Record<string, [error: unknown, status: number]> = {
    '/refused': [Object.assign(new Error('x'), { statusCode: 403 }), 401],
    '/forbidden': [forbidden(), 401],
    '/outage': [Object.assign(new Error('x'), { code: 'ECONNREFUSED' }), 503],
    '/bug': [new TypeError('quotes a cookie'), 500],
    '/odd': [undefined, 500]
  }
  const authenticate = ({ url }: FastifyRequest) => {
    throw (thrown[url] as unknown[])[0]
  }
  const { app, logs } = await buildApp(t, { auth: { authenticate } }, { jwt: false })
  for (const url of Object.keys(thrown)) app.ws(url, async () => undefined)
  for (const [url, [, status]] of Object.entries(thrown)) t.equal(await statusOf(connect(app, url)), status, url)
  t.same(
    logs.filter(({ level }) => level >= 50).map(({ err }) => (err as { type?: string } | undefined)?.type),
    ['TypeError', 'Error'],
    'and is logged as one'
  )
})

t.test('what is missing for authentication is said at registration, with what to do', async (t) => {
  const cookieSource = { auth: { sources: ['cookie' as const] } }
  const withCookie = { secret: testSecret, cookie: { cookieName: 'token', signed: false } }
  const signed = { secret: testSecret, cookie: { cookieName: 'token', signed: true } }
  const inner = { secret: testSecret, namespace: 'inner' }
  const cases: [RealtimeOptions, BuildOptions, RegExp][] = [
    [{}, { jwt: false }, /register @fastify\/jwt before, or give auth\.verify or auth\.authenticate/],
    [{}, { jwt: inner }, /registered under a namespace only \(inner\).*jwtVerify: 'jwtVerify'/],
    [
      {},
      {
        jwt: { ...inner, jwtVerify: 'jwtVerify' },
        before: (app) => app.register(jwt, { ...inner, namespace: 'outer' })
      },
      /\(inner, outer\), which is not asked: give auth\.verify/
    ],
    [cookieSource, {}, /register @fastify\/jwt with its option cookie/],
    [cookieSource, { jwt: withCookie }, /register @fastify\/cookie before/],
    [cookieSource, { jwt: signed, before: (app) => app.register(cookie) }, /give @fastify\/cookie a secret/]
  ]
  for (const [options, more, message] of cases) {
    await t.rejects(buildApp(t, options, more), { code: 'FST_RT_NO_AUTHENTICATION', message }, String(message))
  }
  const { app } = await buildApp(t, { auth: false }, { jwt: false })
  const declare = () => app.ws('/a', { config: { realtime: cookieSource } }, async () => undefined)
  t.throws(declare, {
    code: 'FST_RT_INVALID_ROUTE',
    message: /^Route \/a: clients cannot be authenticated: auth\.sources/
  })
})
