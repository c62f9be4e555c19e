import t from 'tap'
import { MemoryBroker } from '../../lib/broker/memory.ts'
import type { Claims, RealtimeOptions } from '../../lib/options.ts'
import { ERROR } from '../../lib/protocol/channel-errors.ts'
import { atLeast, buildApp } from '../support/app.ts'
import { until } from '../support/redis-server.ts'
import { Speaker } from '../support/speaker.ts'

/* Connections that end, and subscriptions that are ended, while something for them is under way. */

const memory = true
const history = { size: 10, ttl: 60_000 }

/** Something that waits until it is let go. */
function gate<T>(value: T) {
  let open: () => void = () => undefined
  let waiting = 0
  const opened = new Promise<T>((resolve) => {
    open = () => resolve(value)
  })
  return {
    open: () => open(),
    pass: () => {
      waiting++
      return opened
    },
    reached: () => until(() => waiting > 0)
  }
}

const ada: Claims = { sub: 'ada' }
const auth = { requiredClaims: ['sub'] }

t.test('the connection ends while its token is verified, at connect and at refresh', async (t) => {
  for (const at of ['connect', 'refresh'] as const) {
    const slow = gate(ada)
    let calls = 0
    const { app, logs } = await buildApp(t, {
      auth: { ...auth, verify: () => (++calls === 1 && at === 'refresh' ? ada : slow.pass()) }
    })
    app.channel('a')
    const speaker = await Speaker.open(app, { memory, connect: false })
    if (at === 'refresh')
      t.same((await speaker.call({ connect: { token: 'x' } })).connect, {
        client: app.realtime.connections()[0]?.id,
        version: 'fastify-realtime',
        ping: 28,
        pong: true
      })
    speaker.send({ id: 5, [at]: { token: 'x' } })
    await slow.reached()
    await speaker.socket.close(1000)
    await until(() => app.realtime.connections().length === 0)
    slow.open()
    t.same(atLeast(logs, 'warn'), [])
  }
})

t.test('the connection ends while onConnect thinks, and while it waits for a place', async (t) => {
  const slow = gate({ subscriptions: ['a'] })
  const { app, logs } = await buildApp(t, { auth: { ...auth, verify: () => ada }, channels: { onConnect: slow.pass } })
  app.channel('a', { history })
  const speaker = await Speaker.open(app, { memory, connect: false })
  speaker.send({ id: 1, connect: { token: 'x' } })
  await slow.reached()
  await speaker.socket.close(1000)
  await until(() => app.realtime.connections().length === 0)
  slow.open()
  t.same(atLeast(logs, 'warn'), [])
})

function withBroker(t: Parameters<typeof buildApp>[0], prototype: Partial<MemoryBroker>, options: RealtimeOptions) {
  const originals = Object.keys(prototype).map((name) => [name, MemoryBroker.prototype[name as 'presence']] as const)
  Object.assign(MemoryBroker.prototype, prototype)
  t.teardown(() => {
    for (const [name, original] of originals) Object.assign(MemoryBroker.prototype, { [name]: original })
  })
  return buildApp(t, options)
}

t.test('the connection ends while a place is taken for it', async (t) => {
  const slow = gate(true)
  const { app, logs } = await withBroker(
    t,
    { acquireLease: slow.pass },
    {
      auth: { ...auth, verify: () => ada },
      limits: { connections: { perUser: 1 } }
    }
  )
  app.channel('a')
  const speaker = await Speaker.open(app, { memory, connect: false })
  speaker.send({ id: 1, connect: { token: 'x' } })
  await slow.reached()
  await speaker.socket.close(1000)
  await until(() => app.realtime.connections().length === 0)
  slow.open()
  t.same(atLeast(logs, 'warn'), [])
})

t.test('a subscription is ended while its presence is entered', async (t) => {
  const slow = gate(undefined)
  const removed: string[] = []
  const { app } = await withBroker(
    t,
    {
      addPresence: slow.pass as never,
      removePresence: async (channel) => void removed.push(channel)
    },
    { auth: false }
  )
  app.channel('a', { presence: {}, history })
  const speaker = await Speaker.open(app, { memory })
  speaker.send({ id: 5, subscribe: { channel: 'a', recover: true } })
  await slow.reached()
  await app.realtime.unsubscribe({ connection: app.realtime.connections()[0]?.id as string }, 'a')
  slow.open()
  t.same(await speaker.next(), { id: 5, error: ERROR.permissionDenied })
  t.same(removed, ['a'])
  await app.realtime.publish('a', 1)
  await speaker.socket.expectNothing()
})

t.test('a broker that fails when a client subscribes: one more try is asked for, and nothing is left', async (t) => {
  const away = Object.assign(new Error('away'), { code: 'FST_RT_UNAVAILABLE' })
  const { app, logs } = await withBroker(t, { subscribe: () => Promise.reject(away) }, { auth: false })
  app.channel('a', { presence: true })
  const speaker = await Speaker.open(app, { memory })
  t.same(await speaker.call({ subscribe: { channel: 'a' } }), { error: ERROR.internal })
  t.same(app.realtime.connections()[0]?.subscriptions, [])
  t.same(await app.realtime.presence('a'), [])
  t.same(atLeast(logs, 'error'), [])
})

t.test('of the subscriptions made at connect one fails: none is made', async (t) => {
  const { app } = await withBroker(
    t,
    { subscribe: (channel) => (channel === 'b' ? Promise.reject(new Error('no')) : Promise.resolve()) },
    { auth: false, channels: { onConnect: () => ({ subscriptions: ['a', 'b'] }) } }
  )
  app.channel(':id', { history })
  const speaker = await Speaker.open(app, { memory, connect: false })
  t.same(await speaker.call({ connect: {} }), { error: ERROR.internal })
  t.same(app.realtime.connections()[0]?.subscriptions, [])
  await app.realtime.publish('a', 1)
  await speaker.socket.expectNothing()
})

t.test('the connection ends while subscriptions are made for it', async (t) => {
  const slow = gate(undefined)
  const { app, logs } = await withBroker(
    t,
    { subscribe: slow.pass as never },
    {
      auth: false,
      channels: { onConnect: () => ({ subscriptions: ['a', 'b'] }) }
    }
  )
  app.channel(':id', { history })
  const speaker = await Speaker.open(app, { memory, connect: false })
  speaker.send({ id: 1, connect: {} })
  await slow.reached()
  await speaker.socket.close(1000)
  await until(() => app.realtime.connections().length === 0)
  slow.open()
  t.same(atLeast(logs, 'warn'), [])
})

t.test('the application subscribes clients to what there is not, twice, and before they are connected', async (t) => {
  const { app, logs } = await buildApp(t, { auth: { ...auth, verify: () => ada } })
  app.channel('a')
  const early = await Speaker.open(app, { connect: false })
  const [{ id: earlyId = '' } = {}] = app.realtime.connections()
  const speaker = await Speaker.open(app, { connect: { token: 'x' } })
  await app.realtime.subscribe({ connection: earlyId }, 'a')
  await app.realtime.subscribe({ user: 'ada' }, 'a')
  t.same(await speaker.next(), { push: { channel: 'a', subscribe: {} } })
  await app.realtime.subscribe({ user: 'ada' }, 'a')
  await app.realtime.subscribe({ user: 'ada' }, 'nowhere')
  await speaker.socket.expectNothing()
  await early.socket.expectNothing()
  t.match(atLeast(logs, 'error'), [{ msg: 'subscription by the server failed' }])
})

t.test('a key of its own for each user; keys that cannot be had', async (t) => {
  const outage = Object.assign(new Error('away'), { code: 'ECONNREFUSED' })
  const { app } = await buildApp(t, {
    auth: {
      ...auth,
      verify: (token) => {
        if (token === 'away') throw outage
        return { sub: token }
      }
    }
  })
  app.channel('once', { history, onPublish: () => ({ idempotencyKey: 'k' }) })
  app.channel('tokens', { token: true })
  const speakers = [
    await Speaker.open(app, { connect: { token: 'ada' } }),
    await Speaker.open(app, { connect: { token: 'bob' } })
  ]
  for (const speaker of speakers) t.same(await speaker.call({ publish: { channel: 'once', data: 1 } }), { publish: {} })
  for (const speaker of speakers) t.same(await speaker.call({ publish: { channel: 'once', data: 1 } }), { publish: {} })
  t.equal((await app.realtime.history('once')).offset, 2)
  t.same(await speakers[0]?.call({ subscribe: { channel: 'tokens', token: 'away' } }), { error: ERROR.internal })
})

t.test('much that comes before the client is known waits outside', async (t) => {
  const slow = gate(ada)
  const { app } = await buildApp(t, { auth: { ...auth, verify: slow.pass } })
  app.channel('a')
  const speaker = await Speaker.open(app, { connect: false })
  const data = 'x'.repeat(40_000)
  speaker.send({ id: 1, connect: { token: 'x' } })
  for (let id = 2; id <= 6; id++) speaker.send({ id, rpc: { method: 'none', data } })
  await slow.reached()
  slow.open()
  for (let id = 1; id <= 6; id++) t.equal((await speaker.next()).id, id)
})
