import jwt from '@fastify/jwt'
import Fastify from 'fastify'
import t from 'tap'
import { testSecret, testToken } from '../../lib/testing/index.ts'

const now = () => Math.floor(Date.now() / 1000)

t.test('a token that @fastify/jwt accepts', async (t) => {
  const app = Fastify()
  await app.register(jwt, { secret: testSecret })
  const claims = app.jwt.verify<Record<string, number>>(testToken())
  t.match(claims, { sub: 'user-1' })
  t.ok(Math.abs((claims.iat ?? 0) - now()) <= 1)
  t.ok(Math.abs((claims.exp ?? 0) - now() - 3_600) <= 1)
})

t.test('claims, secret and expiry of the test’s own', async (t) => {
  const app = Fastify()
  await app.register(jwt, { secret: 'another' })
  const claims = app.jwt.verify(testToken({ sub: 'ada', role: 'admin', iat: undefined }, { secret: 'another' }))
  t.match(claims, { sub: 'ada', role: 'admin' })
  t.notOk(Object.hasOwn(claims as object, 'iat'))
  t.throws(() => app.jwt.verify(testToken({}, { secret: 'wrong' })), { code: 'FAST_JWT_INVALID_SIGNATURE' })
  t.throws(() => app.jwt.verify(testToken({}, { secret: 'another', expiresIn: -1_000 })), { code: 'FAST_JWT_EXPIRED' })
})

t.test('signed by the app', async (t) => {
  const app = Fastify()
  // Not awaited: the token is to wait for it.
  app.register(jwt, { secret: 'the secret of the app', sign: { algorithm: 'HS512' } })
  const token = await testToken(app)
  t.match(app.jwt.decode(token, { complete: true }), { header: { alg: 'HS512' }, payload: { sub: 'user-1' } })
  t.match(app.jwt.verify(await testToken(app, { sub: 'ada' }, { expiresIn: 60_000 })), { sub: 'ada' })
})

t.test('an app without a signer', async (t) => {
  await t.rejects(testToken(Fastify(), {}), { code: 'FST_RT_TEST_NO_SIGNER' })
})
