import { createVerifier } from 'fast-jwt'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import t, { type Test } from 'tap'
import type { RealtimeOptions } from '../../lib/options/options.ts'
import { ERROR, forbidden } from '../../lib/protocol/channel-errors.ts'
import { DISCONNECT } from '../../lib/protocol/disconnect-codes.ts'
import { testSecret, testToken } from '../../lib/testing/index.ts'
import { type BuildOptions, buildApp } from '../support/app.ts'
import { connect } from '../support/connect.ts'
import { Speaker } from '../support/speaker.ts'

/* Whose a connection is, and that nothing but its own identity decides. The numbers are those of the list of cases. */

type WithUser = FastifyRequest & { user?: { role?: string } | null }

const verifyWith = createVerifier({ key: testSecret })
const ways: Record<string, [options: RealtimeOptions, more?: BuildOptions]> = {
  '@fastify/jwt': [{}],
  '@fastify/jwt with an asynchronous secret': [{}, { jwt: { secret: async () => testSecret } }],
  'auth.verify': [{ auth: { verify: (token) => verifyWith(token) } }, { jwt: false }],
  'auth.verify that asks @fastify/jwt': [
    {
      auth: {
        verify: async (token, request) => {
          await request.jwtVerify({ extractToken: () => token } as never)
          return request.user as { sub: string }
        }
      }
    }
  ]
}

const statusOf = async (attempt: Promise<unknown>) =>
  ((await attempt.catch((error: unknown) => error)) as { statusCode?: number }).statusCode

/** A scope for administrators, and a channel whose subscriptions need tokens. */
async function makeApp(t: Test, [options, more]: [RealtimeOptions, BuildOptions?]): Promise<FastifyInstance> {
  const { app } = await buildApp(t, options, more)
  app.channel('private/:x', { token: true })
  app.register(async (scope) => {
    scope.addHook('preHandler', async (request: WithUser) => {
      if (request.user?.role !== 'admin') throw forbidden()
    })
    scope.rpc('admin.who', async ({ user, request }) => [user?.sub, (request as WithUser).user])
    scope.channel('admin/:x', { onSubscribe: () => undefined })
  })
  await app.ready()
  return app
}

const admin = { rpc: { method: 'admin.who' } }

for (const [how, way] of Object.entries(ways)) {
  t.test(`case 118: a token that is refused changes nothing that a hook can see, with ${how}`, async (t) => {
    const app = await makeApp(t, way)
    const speaker = await Speaker.open(app, { token: testToken({ sub: 'bob' }) })
    t.match(await speaker.call(admin), { error: ERROR.permissionDenied })
    const role = 'admin'
    const refused: Record<string, [token: string, error: { code: number }]> = {
      'another user’s': [testToken({ sub: 'root', role }), ERROR.permissionDenied],
      'an expired one': [testToken({ sub: 'bob', role }, { expiresIn: -60_000 }), ERROR.tokenExpired],
      'one without exp': [testToken({ sub: 'bob', role, exp: undefined }), ERROR.unauthorized],
      'one without sub': [testToken({ sub: undefined, role }), ERROR.unauthorized],
      'one of a subscription': [testToken({ sub: 'bob', role, channel: 'private/1' }), ERROR.unauthorized],
      'a forged one': [testToken({ sub: 'bob', role }, { secret: 'another' }), ERROR.unauthorized]
    }
    for (const [what, [token, { code }]] of Object.entries(refused)) {
      t.match(await speaker.call({ refresh: { token } }), { error: { code } }, what)
      t.match(await speaker.call(admin), { error: ERROR.permissionDenied }, `after ${what}`)
      t.match(await speaker.call({ subscribe: { channel: 'admin/1' } }), { error: ERROR.permissionDenied })
    }
    t.match(await speaker.call({ refresh: { token: testToken({ sub: 'bob', role }) } }), { refresh: {} })
    t.match(await speaker.call(admin), { rpc: { data: ['bob', { sub: 'bob', role }] } }, 'their own does')
    t.match(await speaker.call({ refresh: { token: testToken({ sub: 'bob' }) } }), { refresh: {} })
    t.match(await speaker.call(admin), { error: ERROR.permissionDenied }, 'both ways')
  })

  t.test(`case 118: nor does a token of a subscription, with ${how}`, async (t) => {
    const app = await makeApp(t, way)
    const speaker = await Speaker.open(app, { token: testToken({ sub: 'ada', role: 'admin' }) })
    const who = { rpc: { data: ['ada', { sub: 'ada', role: 'admin' }] } }
    t.match(await speaker.call(admin), who)
    const channel = 'private/1'
    const subscribe = (claims: object) =>
      speaker.call({ subscribe: { channel, token: testToken({ channel, ...claims }) } })
    t.match(await subscribe({ sub: 'bob' }), { error: ERROR.permissionDenied })
    t.match(await speaker.call(admin), who)
    t.match(await subscribe({ sub: 'ada' }), { subscribe: {} })
    t.match(await speaker.call(admin), who)
    const token = testToken({ sub: 'ada', channel, role: 'nobody' })
    t.match(await speaker.call({ sub_refresh: { channel, token } }), { sub_refresh: {} })
    t.match(await speaker.call(admin), who)
  })

  t.test(`case 118: a connect that is refused leaves nobody behind, with ${how}`, async (t) => {
    const app = await makeApp(t, way)
    const token = testToken({ sub: 'root', role: 'admin', exp: undefined })
    const speaker = await Speaker.open(app, { connect: false })
    speaker.send({ id: 1, connect: { token } }, { id: 2, ...admin })
    t.match(await speaker.closed(), DISCONNECT.invalidToken)
    const good = await Speaker.open(app, { connect: { token: testToken({ sub: 'root', role: 'admin' }) } })
    t.match(await good.call(admin), { rpc: { data: ['root', { sub: 'root', role: 'admin' }] } })
  })
}

t.test('case 118: at the handshake hooks see the user, and one that is refused leaves none', async (t) => {
  for (const [how, [options, more]] of Object.entries(ways)) {
    const { app } = await buildApp(t, options, more)
    const seen: unknown[] = []
    const onResponse = async (request: WithUser) => void seen.push(request.user?.role)
    const preHandler = async (request: WithUser) => void seen.push(request.user?.role)
    app.ws('/ws', { onResponse, preHandler }, async (socket) => socket.sendJson(socket.user))
    const socket = await connect(app, '/ws', { token: testToken({ sub: 'ada', role: 'admin' }) })
    t.match(await socket.next(), { sub: 'ada', role: 'admin' })
    t.strictSame(seen.splice(0), ['admin'], how)
    t.equal(
      await statusOf(connect(app, '/ws', { token: testToken({ sub: 'ada', role: 'admin', exp: undefined }) })),
      401
    )
    t.strictSame(seen, [undefined], 'not even in onResponse')
  }
})

for (const [how, way] of Object.entries(ways)) {
  t.test(`case 123: a token of a subscription is good for nothing else, with ${how}`, async (t) => {
    const [options, more] = way
    const { app, logs } = await buildApp(t, options, more)
    app.channel('docs/:x', { token: true })
    app.ws('/ws', async (socket) => socket.sendJson(socket.user))
    const token = testToken({ sub: 'ada', channel: 'docs/1' })
    t.equal(await statusOf(connect(app, '/ws', { token })), 401)
    t.equal(await statusOf(connect(app, '/connection/websocket', { token })), 401)
    const browser = await connect(app, '/connection/websocket', { token, origin: true })
    t.match(await browser.closed(), DISCONNECT.invalidToken)
    const connecting = await Speaker.open(app, { connect: false })
    connecting.send({ id: 1, connect: { token } })
    t.match(await connecting.closed(), DISCONNECT.invalidToken)
    const speaker = await Speaker.open(app, { token: testToken({ sub: 'ada' }) })
    t.match(await speaker.call({ refresh: { token } }), { error: ERROR.unauthorized })
    t.match(await speaker.call({ subscribe: { channel: 'docs/1', token } }), { subscribe: {} })
    const reasons = logs.filter(({ msg }) => msg === 'handshake refused' || msg === 'token refused')
    t.equal(reasons.length, 5)
    for (const { reason } of reasons) t.match(reason, /^claim channel: the token is for a subscription/)
  })
}

t.test('case 125: a /64 is one address, and IPv4 has one spelling', async (t) => {
  const limits = { connections: { perAddress: 2 } }
  const { app } = await buildApp(t, { auth: false, limits }, { fastify: { trustProxy: true } })
  app.ws('/ws', async (socket) => {
    for await (const _ of socket.messages());
  })
  const open = async (addresses: string[]) => {
    const attempts = await Promise.allSettled(
      addresses.map((ip) => connect(app, '/ws', { headers: { 'x-forwarded-for': ip } }))
    )
    const sockets = attempts.flatMap((attempt) => (attempt.status === 'fulfilled' ? [attempt.value] : []))
    const refused = attempts.flatMap((attempt) => (attempt.status === 'rejected' ? [attempt.reason.statusCode] : []))
    await Promise.all(sockets.map((socket) => socket.close()))
    t.ok(refused.every((status) => status === 503))
    return sockets.length
  }
  t.equal(await open(Array.from({ length: 20 }, (_, i) => `2001:db8:1:2::${i.toString(16)}`)), 2)
  t.equal(await open(['192.0.2.1', '::ffff:192.0.2.1', '::ffff:c000:201', '192.0.2.1']), 2)
  t.equal(await open(['2001:db8:1:2::1', '2001:db8:1:3::1', '192.0.2.1', '192.0.2.2']), 4, 'each its own')
})
