import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import t, { type Test } from 'tap'
import type { Claims, RealtimeOptions } from '../../lib/options/options.ts'
import { CLOSE } from '../../lib/protocol/close-codes.ts'
import { DISCONNECT } from '../../lib/protocol/disconnect-codes.ts'
import { testToken } from '../../lib/testing/index.ts'
import { buildApp } from '../support/app.ts'
import { connect } from '../support/connect.ts'
import { pending } from '../support/pending.ts'
import { RedisServer, until } from '../support/redis-server.ts'
import { Speaker } from '../support/speaker.ts'

/*
 * A user is disconnected while that user's handshakes are under way. A verifier that looks a session up may have found
 * it before it was ended, and the connection opened afterwards, for as long as its token lasted.
 */

const token = testToken({ sub: 'ada' })
const origin = true
const exp = Date.now() / 1000 + 3_600

/** A promise that a hook waits for, and one for its having come there. */
function gate() {
  const reached = pending<void>()
  const opened = pending<void>()
  return {
    reached: reached.promise,
    open: () => opened.resolve(),
    pass: async () => {
      reached.resolve()
      await opened.promise
    }
  }
}

const outcome = (attempt: Promise<{ closed(): Promise<object> }>) =>
  attempt.then(
    (socket) => socket.closed(),
    (error: { statusCode?: number; body?: string }) => ({
      statusCode: error.statusCode,
      body: JSON.parse(error.body ?? '')
    })
  )

t.test('case 119: authenticated before the request, open after it', async (t) => {
  const hook = gate()
  const { app, logs } = await buildApp(t)
  let handled = 0
  app.ws('/ws', { preHandler: hook.pass }, async (socket) => {
    handled++
    for await (const _ of socket.messages());
  })
  await app.listen({ host: '127.0.0.1', port: 0 })
  const attempts = [
    connect(app, '/ws', { token }),
    connect(app, '/ws', { token, origin }),
    connect(app, '/ws', { token: testToken({ sub: 'bob' }) })
  ] as const
  const [plain, browser] = [outcome(attempts[0]), outcome(attempts[1])]
  await hook.reached
  // All three are in their hook once the last of them has been logged as coming in.
  while (logs.filter(({ msg }) => msg === 'incoming request').length < 3) await sleep(1)
  await sleep(0)
  await app.realtime.disconnect({ user: 'ada' }, { code: 4000, reason: 'signed out' })
  hook.open()
  t.match(await plain, { statusCode: 403, body: { code: 'FST_RT_DISMISSED' } })
  t.strictSame(await browser, { code: 4000, reason: 'signed out' })
  await attempts[2]
  t.equal(handled, 1, 'others come in')
  const later = await connect(app, '/ws', { token })
  await app.realtime.disconnect({ user: 'ada' })
  t.match(await later.closed(), { code: CLOSE.forbidden.code }, 'and ada, afterwards')
  t.equal(logs.filter(({ msg, code }) => msg === 'handshake refused' && code === 'FST_RT_DISMISSED').length, 2)
})

t.test('case 119: the request comes while the token is verified', async (t) => {
  const verifier = gate()
  const verify = async (sub: string): Promise<Claims> => {
    // The session is found here, and ended right after.
    await verifier.pass()
    return { sub, exp }
  }
  const { app } = await buildApp(t, { auth: { verify } }, { jwt: false })
  app.ws('/ws', async () => undefined)
  const attempt = outcome(connect(app, '/ws', { token: 'ada' }))
  await verifier.reached
  await app.realtime.disconnect({ user: 'ada' })
  verifier.open()
  t.match(await attempt, { statusCode: 403 })
})

t.test('case 119: the request comes while a session is loaded, before anything is verified', async (t) => {
  const store = gate()
  const sessions = new Map([['s1', 'ada']])
  type WithLogin = FastifyRequest & { login?: string | undefined }
  const authenticate = ({ login }: WithLogin) => (login === undefined ? undefined : { sub: login })
  // What a session plugin does: its hook comes first, and reads the session before it waits.
  const before = (app: FastifyInstance) => {
    app.addHook('onRequest', async (request) => {
      const login = sessions.get(request.headers.cookie as string)
      await store.pass()
      Object.assign(request, { login })
    })
  }
  const { app } = await buildApp(t, { auth: { sources: [], authenticate } }, { jwt: false, before })
  app.ws('/ws', async (socket) => {
    for await (const _ of socket.messages());
  })
  const attempt = outcome(connect(app, '/ws', { headers: { cookie: 's1' } }))
  await store.reached
  sessions.delete('s1')
  await app.realtime.disconnect({ user: 'ada' })
  store.open()
  t.match(await attempt, { statusCode: 403, body: { code: 'FST_RT_DISMISSED' } })
  sessions.set('s2', 'ada')
  t.ok(await connect(app, '/ws', { headers: { cookie: 's2' } }), 'a later login comes in')
})

t.test('case 119: the request comes while a client of channels connects or refreshes', async (t) => {
  let verifier = gate()
  const verify = async (sub: string): Promise<Claims> => {
    await verifier.pass()
    return { sub, exp }
  }
  const { app } = await buildApp(t, { auth: { verify } }, { jwt: false })
  app.channel('a')
  const speaker = await Speaker.open(app, { connect: false })
  speaker.send({ id: 1, connect: { token: 'ada' } })
  await verifier.reached
  await app.realtime.disconnect({ user: 'ada' })
  verifier.open()
  t.match(await speaker.closed(), DISCONNECT.forceStop)

  const again = await Speaker.open(app, { connect: { token: 'ada' } })
  verifier = gate()
  again.send({ id: 9, refresh: { token: 'ada' } })
  await verifier.reached
  await app.realtime.disconnect({ user: 'ada' }, { code: 4000, reason: 'signed out' })
  verifier.open()
  t.strictSame(await again.closed(), { code: 4000, reason: 'signed out' })
})

t.test('case 153: other requests come while handshakes are under way', async (t) => {
  const hook = gate()
  const { app } = await buildApp(t)
  const opened: string[] = []
  app.channel('rooms/:room', { onSubscribe: true })
  app.ws('/ws', { preHandler: hook.pass }, async (socket) => {
    // What its hooks have found out may be out of date: it subscribes at once.
    await socket.subscribe('rooms/1')
    opened.push(socket.id)
    for await (const _ of socket.messages());
  })
  await app.listen({ host: '127.0.0.1', port: 0 })
  const attempt = connect(app, '/ws', { token })
  await hook.reached
  await app.realtime.unsubscribe({ user: 'ada' }, 'rooms/1')
  await app.realtime.refresh({ user: 'ada' }, Math.floor(Date.now() / 1000) - 1)
  hook.open()
  const client = await attempt
  t.match(await client.closed(), { code: CLOSE.unauthorized.code }, 'its time is over, as the request says')
  const bystander = await connect(app, '/ws', { token: testToken({ sub: 'bob' }) })
  await until(() => app.realtime.connections()[0]?.subscriptions.length === 1)
  const later = await connect(app, '/ws', { token })
  await until(() => app.realtime.connections().every(({ subscriptions }) => subscriptions.length === 1))
  t.equal(app.realtime.connections().length, 2, 'those that begin later are not meant')
  await Promise.all([bystander.close(), later.close()])
})

t.test('case 153: a subscription is ended while its connection is in its handshake', async (t) => {
  const hook = gate()
  const { app } = await buildApp(t)
  const subscribing: Promise<unknown>[] = []
  app.ws('/ws', { preHandler: hook.pass }, async (socket) => {
    subscribing.push(Promise.allSettled([socket.subscribe('rooms/1'), socket.subscribe('rooms/2')]))
    for await (const _ of socket.messages());
  })
  await app.listen({ host: '127.0.0.1', port: 0 })
  const attempt = connect(app, '/ws', { token })
  await hook.reached
  await app.realtime.unsubscribe({ user: 'ada' }, 'rooms/1')
  hook.open()
  await attempt
  await until(() => app.realtime.connections()[0]?.subscriptions.join() === 'rooms/2')
  await Promise.all(subscribing)
  t.strictSame(app.realtime.connections()[0]?.subscriptions, ['rooms/2'])
})

t.test('case 153: other requests come before a client of channels has connected', async (t) => {
  const verifier = gate()
  const verify = async (sub: string): Promise<Claims> => {
    await verifier.pass()
    return { sub, exp }
  }
  const onConnect = () => ({ subscriptions: ['a', 'b'] })
  const { app } = await buildApp(t, { auth: { verify }, channels: { onConnect } }, { jwt: false })
  for (const name of ['a', 'b', 'c']) app.channel(name)
  const speaker = await Speaker.open(app, { connect: false })
  speaker.send({ id: 1, connect: { token: 'ada' } })
  await verifier.reached
  await app.realtime.unsubscribe({ user: 'ada' }, 'a')
  await app.realtime.subscribe({ user: 'ada' }, 'c')
  await app.realtime.refresh({ user: 'ada' }, exp + 1_000)
  verifier.open()
  t.match(await speaker.next(), { id: 1, connect: { subs: { a: {}, b: {} } } })
  const pushes = [await speaker.next(), await speaker.next(), await speaker.next()]
  t.match(pushes, [
    { push: { channel: 'a', unsubscribe: {} } },
    { push: { channel: 'c', subscribe: {} } },
    { push: { refresh: { expires: true } } }
  ])
  t.strictSame(app.realtime.connections()[0]?.subscriptions, ['b', 'c'])
  // Known by its handshake, and not connected yet: it is one of the user's connections.
  const idle = await Speaker.open(app, { token: 'ada', connect: false })
  await app.realtime.subscribe({ user: 'ada' }, 'c')
  t.match(await idle.call({ connect: {} }), { connect: { subs: { a: {}, b: {} } } })
  t.match(await idle.next(), { push: { channel: 'c', subscribe: {} } })
})

const server = await RedisServer.start(t)

for (const delay of [0, 5, 20]) {
  for (const kind of ['ws', 'channels'] as const) {
    t.test(`case 119: none of 200 a second stays open on any node, with hooks of ${delay} ms on ${kind}`, async (t) => {
      const revoked = new Set<string>()
      const prefix = `dismissal-${process.pid}-${delay}-${kind}`
      const [here, there] = await Promise.all([
        makeNode(t, revoked, delay, prefix),
        makeNode(t, revoked, delay, prefix)
      ])
      const attempts: Promise<object>[] = []
      const open = async (count: number) => {
        for (let n = 0; n < count; n++) {
          for (const app of [here, there])
            attempts.push(kind === 'ws' ? outcome(connect(app, '/ws', { token: 'ada' })) : speak(app))
          await sleep(10)
        }
      }
      await open(10)
      revoked.add('ada')
      const disconnected = here.realtime.disconnect({ user: 'ada' })
      await open(10)
      await disconnected
      // One that stayed open would never settle.
      t.equal((await Promise.all(attempts)).length, 40)
      await until(() => [here, there].every((app) => app.realtime.connections().length === 0))
    })
  }
}

async function makeNode(t: Test, revoked: Set<string>, delay: number, prefix: string): Promise<FastifyInstance> {
  const verify = (sub: string): Claims => {
    if (revoked.has(sub)) throw new Error('revoked')
    return { sub, exp }
  }
  const hook = async () => void (await sleep(delay))
  const options: RealtimeOptions = { redis: server.url, prefix, auth: { verify }, channels: { onConnect: hook } }
  const { app } = await buildApp(t, options, { jwt: false })
  app.ws('/ws', { preHandler: hook }, async (socket) => {
    for await (const _ of socket.messages());
  })
  app.channel('a')
  await app.listen({ host: '127.0.0.1', port: 0 })
  return app
}

async function speak(app: FastifyInstance): Promise<object> {
  const speaker = await Speaker.open(app, { connect: false })
  speaker.send({ id: 1, connect: { token: 'ada' } })
  return speaker.closed()
}
