import cookie from '@fastify/cookie'
import jwt, { type FastifyJWTOptions } from '@fastify/jwt'
import Fastify, { type FastifyInstance, type FastifyRequest } from 'fastify'
import t, { type Test } from 'tap'
import { jwtNamespaces, jwtOf } from '../../lib/dependencies.ts'
import { cookieToken, hasJwt, verifyByJwt } from '../../lib/handshake/jwt.ts'
import { RequestView } from '../../lib/handshake/request-view.ts'
import { testSecret, testToken } from '../../lib/testing/index.ts'
import { forge, goodClaims, hmac, rs256, rsa } from '../support/jwt.ts'

/* @fastify/jwt as applications configure it, asked about a token through a view of the request. */

const ada = testToken({ sub: 'ada' })
const secret = testSecret

interface Outcome {
  claims?: { sub?: unknown }
  error?: { code?: string; statusCode?: number }
  /** `request.user` before the claims were adopted, and after. */
  before?: unknown
  after?: unknown
}

/** Verifies a token on a request of an application that has @fastify/jwt with those options. */
async function verify(t: Test, options: object, token = ada, user = 'user'): Promise<Outcome> {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(jwt, { secret, ...options } as FastifyJWTOptions)
  const outcome: Outcome = {}
  app.get('/live', async (request) => {
    const read = () => (request as unknown as Record<string, unknown>)[user]
    const view = new RequestView(request, token)
    try {
      outcome.claims = (await verifyByJwt(token, view.request)) as { sub?: unknown }
      outcome.before = read()
      view.adopt(user, outcome.claims)
    } catch (error) {
      outcome.error = error as { code?: string }
    }
    outcome.after = read()
    t.equal(request.headers.authorization, 'Basic YQ==', 'its headers are as they were')
  })
  await app.inject({ url: '/live', headers: { authorization: 'Basic YQ==', host: 'app.example' } })
  return outcome
}

const accepted: Record<string, object> = {
  'a secret': {},
  'an asynchronous secret': { secret: async () => secret },
  'a secret by callback': {
    secret: (_: unknown, __: unknown, done: (e: null, s: string) => void) => done(null, secret)
  },
  'cached verdicts': { verify: { cache: true } },
  trusted: { trusted: () => true },
  'asynchronously trusted': { trusted: async () => true },
  'an issuer': { verify: { allowedIss: undefined } },
  'another place for tokens': { verify: { extractToken: () => 'not the one' } },
  'a cookie only': { cookie: { cookieName: 'token', signed: false }, verify: { onlyCookie: true } },
  'words of its own': { messages: { authorizationTokenInvalid: 'no' } },
  'the namespace’s own method': { namespace: 'inner', jwtVerify: 'jwtVerify' },
  'a namespace with another place': {
    namespace: 'inner',
    jwtVerify: 'jwtVerify',
    verify: { extractToken: () => 'not the one' }
  }
}
for (const [how, options] of Object.entries(accepted)) {
  t.test(`case 118: with ${how} a good token is good, and writes nothing before it is adopted`, async (t) => {
    const { claims, before, after, error } = await verify(t, options)
    t.equal(error, undefined)
    t.match(claims, { sub: 'ada' })
    t.equal(before, null)
    t.match(after, { sub: 'ada' })
    const bad = await verify(t, options, `${ada}x`)
    t.ok(bad.error)
    t.equal(bad.after, null, 'a bad one writes nothing')
  })
}

t.test('case 118: what callbacks of the application refuse changes nothing either', async (t) => {
  const refused: Record<string, object> = {
    'not trusted': { trusted: () => false },
    'not trusted, later': { trusted: async () => false },
    'no secret': { secret: async () => Promise.reject(new Error('no such key')) },
    'another issuer': { verify: { allowedIss: 'https://id.example' } }
  }
  for (const [how, options] of Object.entries(refused)) {
    // A claim that is there, and wrong.
    const token = testToken({ sub: 'ada', iss: 'https://evil.example' })
    const { error, after } = await verify(t, options, token)
    t.ok(error, how)
    t.equal(after, null, how)
  }
})

t.test('callbacks see the whole request, with the token in its header', async (t) => {
  const seen: unknown[] = []
  const look = (request: FastifyRequest) =>
    seen.push([request.url, request.headers.authorization, request.headers.host, request.routeOptions.url, request.ip])
  const { claims } = await verify(t, {
    secret: async (request: FastifyRequest, token: { sub: string }) => {
      look(request)
      ;(request as unknown as Record<string, unknown>).tenant = token.sub
      return secret
    },
    trusted: (request: FastifyRequest) => {
      look(request)
      return (request as unknown as Record<string, unknown>).tenant === 'ada'
    }
  })
  t.match(claims, { sub: 'ada' })
  const one = ['/live', `Bearer ${ada}`, 'app.example', '/live', '127.0.0.1']
  t.strictSame(seen, [one, one])
})

t.test('formatUser and decoratorName are what hooks see; the claims are the token’s own', async (t) => {
  const options = { formatUser: ({ sub }: { sub: string }) => ({ name: sub.toUpperCase() }), decoratorName: 'member' }
  const { claims, before, after } = await verify(t, options, ada, 'member')
  t.match(claims, { sub: 'ada' })
  t.equal(before, null)
  t.strictSame(after, { name: 'ADA' })
})

t.test('asymmetric keys', async (t) => {
  const options = { secret: { public: rsa.publicKey, private: rsa.privateKey }, sign: { algorithm: 'RS256' } }
  t.match((await verify(t, options, forge({ alg: 'RS256' }, goodClaims(), rs256))).claims, { sub: 'ada' })
  t.ok((await verify(t, options, forge({ alg: 'HS256' }, goodClaims(), hmac(rsa.publicKey)))).error)
})

/** An application with @fastify/jwt registered with each of those options, one after another. */
async function appWith(t: Test, ...registrations: object[]): Promise<FastifyInstance> {
  const app = Fastify()
  t.teardown(() => app.close())
  for (const options of registrations) await app.register(jwt, { secret, ...options } as FastifyJWTOptions)
  return app
}

t.test('which registration request.jwtVerify belongs to', async (t) => {
  const none = await appWith(t)
  t.strictSame([hasJwt(none), jwtNamespaces(none), jwtOf(none)], [false, [], undefined])
  const plain = await appWith(t, { decoratorName: 'plain' }, { namespace: 'inner', decoratorName: 'other' })
  t.strictSame([hasJwt(plain), jwtNamespaces(plain), jwtOf(plain)?.options.decoratorName], [true, [], 'plain'])
  const inner = { namespace: 'inner', decoratorName: 'member' }
  const hidden = await appWith(t, inner)
  t.strictSame([hasJwt(hidden), jwtNamespaces(hidden)], [false, ['inner']])
  const shown = await appWith(t, { ...inner, jwtVerify: 'jwtVerify' })
  t.strictSame([hasJwt(shown), jwtOf(shown)?.options.decoratorName], [true, 'member'])
  const two = await appWith(t, { ...inner, jwtVerify: 'jwtVerify' }, { namespace: 'outer' })
  t.strictSame([hasJwt(two), jwtNamespaces(two), jwtOf(two)], [false, ['inner', 'outer'], undefined], 'of two: unknown')
})

t.test('the token in the cookie of @fastify/jwt', async (t) => {
  const read = async (options: object, cookieHeader: string | undefined) => {
    const app = await appWith(t, options)
    await app.register(cookie, { secret: 'a secret for cookies' })
    let token: string | undefined
    app.get('/', async (request) => {
      token = cookieToken(request)
    })
    const value = cookieHeader?.replace('SIGNED', () => encodeURIComponent(app.signCookie(ada)))
    await app.inject({ url: '/', headers: value === undefined ? {} : { cookie: value } })
    return token
  }
  const plain = { cookie: { cookieName: 'token', signed: false } }
  const signed = { cookie: { cookieName: 'token', signed: true } }
  t.equal(await read(plain, `a=b; token=${ada}`), ada)
  t.equal(await read(plain, 'a=b'), undefined)
  t.equal(await read(plain, undefined), undefined)
  t.equal(await read({}, `token=${ada}`), undefined, 'it was registered without')
  t.equal(await read(signed, 'token=SIGNED'), ada)
  t.equal(await read(signed, `token=${ada}`), '', 'a signature is missing: offered, and no good')
  t.equal(await read({ cookie: { cookieName: '__proto__', signed: false } }, 'a=b'), undefined)
})

t.test('another plugin’s request.jwtVerify is asked in the same way', async (t) => {
  const app = await appWith(t)
  app.decorateRequest('jwtVerify', async function (this: FastifyRequest) {
    if (this.headers.authorization !== `Bearer ${ada}`) throw new Error('another token')
  } as never)
  t.equal(hasJwt(app), true)
  let claims: unknown
  app.get('/', async (request) => {
    claims = await verifyByJwt(ada, new RequestView(request, ada).request)
  })
  await app.inject('/')
  t.match(claims, { sub: 'ada' })
})
