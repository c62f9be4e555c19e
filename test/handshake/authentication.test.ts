import t from 'tap'
import { claimFault, isExpired } from '../../lib/handshake/authentication.ts'
import { connect, testSecret, testToken } from '../../lib/testing/index.ts'
import { buildApp } from '../support/app.ts'

/* What the cases of bad tokens leave open: how tokens reach @fastify/jwt, and claims one by one. */

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
    const { app } = await buildApp(t, { auth: { verify: () => claims } })
    app.ws('/who', async () => undefined)
    t.equal(await statusOf(connect(app, '/who', { token: 'opaque' })), 401)
  }
})

t.test('requiredClaims may ask for less, or more', async (t) => {
  const verify = () => ({ tenant: 'a' })
  const { app } = await buildApp(t, { auth: { verify, requiredClaims: ['tenant'] } })
  app.ws('/a', async (socket) => socket.sendJson(socket.user))
  app.ws('/b', { config: { realtime: { auth: { requiredClaims: ['tenant', 'role'] } } } }, async () => undefined)
  t.same(await (await connect(app, '/a', { token: 'opaque' })).next(), { tenant: 'a' })
  t.equal(await statusOf(connect(app, '/b', { token: 'opaque' })), 401)
})

t.test('claims at their bounds', (t) => {
  const now = 1_000
  const fault = (claims: unknown, options = {}) => claimFault(claims, ['sub', 'exp'], options, now)
  t.equal(fault({ sub: 'a', exp: now + 1, iat: now + 5 }), undefined)
  t.equal(fault({ sub: 'a'.repeat(256), exp: 1e11 - 1 }), undefined)
  t.match(fault({ sub: 'a'.repeat(257), exp: now + 1 }), /sub/)
  t.match(fault({ sub: 'a', exp: now }), /exp/)
  t.match(fault({ sub: 'a', exp: 1e11 }), /exp/)
  t.match(fault({ sub: 'a', exp: now + 1, iat: now + 6 }), /iat/)
  t.equal(fault({ sub: 'a', exp: now + 1, iat: now + 60 }, { clockTolerance: 60_000 }), undefined)
  t.match(fault(Object.create({ sub: 'inherited', exp: now + 1 })), /sub is missing/)
  t.end()
})

t.test('isExpired reads nothing into an error that it does not know', (t) => {
  t.equal(isExpired(new Error('x')), false)
  t.equal(isExpired(Object.assign(new Error('x'), { cause: 'a string' })), false)
  t.equal(isExpired(Object.assign(new Error('x'), { cause: { code: 'FAST_JWT_EXPIRED' } })), true)
  t.end()
})
