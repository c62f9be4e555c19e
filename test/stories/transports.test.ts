import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Centrifuge, Subscription } from 'centrifuge'
import { Registry } from 'prom-client'
import t, { type Test } from 'tap'
import type { RealtimeOptions } from '../../lib/options/options.ts'
import { testToken } from '../../lib/testing/index.ts'
import { buildApp } from '../support/app.ts'
import { next, record } from '../support/centrifuge.ts'
import { pending } from '../support/pending.ts'
import { until } from '../support/redis-server.ts'
import { clientOver, TRANSPORTS, type TransportName } from '../support/transports.ts'

/* The same stories over all transports, with the published client. */

const history = { size: 100, ttl: 60_000 }
const token = (sub: string, more: object = {}) => testToken({ sub, ...more })

async function connected(client: Centrifuge): Promise<Record<string, unknown>> {
  const connection = next(client, 'connected')
  client.connect()
  return connection
}

async function subscribed(client: Centrifuge, channel: string, options = {}): Promise<Subscription> {
  const subscription = client.newSubscription(channel, options)
  subscription.subscribe()
  await subscription.ready()
  return subscription
}

function stories(transport: TransportName) {
  const make = async (t: Test, options: RealtimeOptions = {}) => {
    const { app, logs } = await buildApp(t, { drain: { window: 0 }, ...options })
    const client = (sub: string, more = {}) => clientOver(t, transport, app, { token: token(sub), ...more })
    return { app, logs, client }
  }

  t.test(`${transport}: connect, subscribe, publish, rpc`, async (t) => {
    const { app, client } = await make(t)
    app.channel('rooms/:room', { onSubscribe: true, onPublish: true, history })
    app.rpc('echo', ({ data }) => data)
    const ada = await client('ada')
    t.match(await connected(ada), { transport })
    const room = await subscribed(ada, 'rooms/1')
    const heard = record(room)
    await room.publish({ a: 1 })
    await app.realtime.publish('rooms/1', { b: 2 })
    t.same(await heard.upTo(2), [{ a: 1 }, { b: 2 }])
    t.same((await ada.rpc('echo', { c: [3] })).data, { c: [3] })
    t.match(app.realtime.connections(), [{ transport, user: 'ada', subscriptions: ['rooms/1'] }])
    ada.disconnect()
    await until(() => app.realtime.connections().length === 0)
  })

  t.test(`${transport}: what was published while a client was cut off is recovered`, async (t) => {
    const { app, client } = await make(t)
    app.channel('rooms/:room', { onSubscribe: true, history })
    const ada = await client('ada')
    await connected(ada)
    const room = await subscribed(ada, 'rooms/1')
    const heard = record(room)
    await app.realtime.publish('rooms/1', 1)
    await heard.upTo(1)
    const again = next<{ recovered: boolean }>(room, 'subscribed')
    const reconnecting = next(ada, 'connecting')
    app.server.closeAllConnections()
    await app.realtime.disconnect({ user: 'ada' }, { code: 3000, reason: 'again' })
    await app.realtime.publish('rooms/1', 2)
    await reconnecting
    t.match(await again, { recovered: true })
    t.same(await heard.upTo(2), [1, 2])
  })

  t.test(`${transport}: presence, joins and leaves`, async (t) => {
    const { app, client } = await make(t)
    app.channel('rooms/:room', { onSubscribe: true, presence: { ttl: 5_000 }, joinLeave: true })
    const ada = await client('ada')
    const bob = await client('bob')
    await connected(ada)
    await connected(bob)
    const room = await subscribed(ada, 'rooms/1', { joinLeave: true })
    const joined: string[] = []
    room.on('join', ({ info }) => void joined.push(info.user))
    await subscribed(bob, 'rooms/1')
    await until(() => joined.includes('bob'))
    const users = Object.values((await room.presence()).clients).map(({ user }) => user)
    t.same(users.sort(), ['ada', 'bob'])
    const left = next<{ info: { user: string } }>(room, 'leave')
    bob.disconnect()
    t.match(await left, { info: { user: 'bob' } })
  })

  t.test(`${transport}: the connection expires, unless the client has a new token`, async (t) => {
    const { app, client } = await make(t)
    app.channel('rooms/:room', { onSubscribe: true })
    let given = 0
    const exp = () => Math.floor(Date.now() / 1000) + 2
    const getToken = async () => {
      given++
      return token('ada', { exp: given === 1 ? exp() : exp() + 600 })
    }
    const ada = await client('ada', { token: token('ada', { exp: exp() }), getToken })
    await connected(ada)
    await until(() => given > 0)
    t.equal(ada.state, 'connected')
  })

  t.test(`${transport}: the application disconnects a client`, async (t) => {
    const { app, client } = await make(t)
    app.channel('rooms/:room', { onSubscribe: true })
    const ada = await client('ada')
    await connected(ada)
    const gone = next(ada, 'disconnected')
    await app.realtime.disconnect({ user: 'ada' }, { code: 4_500, reason: 'bye' })
    t.match(await gone, { code: 4_500, reason: 'bye' })
    await until(() => app.realtime.connections().length === 0)
  })

  t.test(`${transport}: a drain finishes what was begun`, async (t) => {
    const { app, client } = await make(t, { drain: { window: 0 } })
    const { promise: opened, resolve: open } = pending()
    let begun = 0
    app.rpc('wait', async ({ data }) => {
      begun++
      await opened
      return data
    })
    const ada = await client('ada')
    await connected(ada)
    const answer = ada.rpc('wait', 7)
    await until(() => begun === 1)
    const reconnecting = next(ada, 'connecting')
    const drained = app.realtime.drain()
    await nextTurn()
    open()
    t.equal((await answer).data, 7)
    t.match(await reconnecting, { code: 3_001, reason: 'shutdown' })
    ada.disconnect()
    t.match(await drained, { closed: 1, terminated: 0 })
  })

  t.test(`${transport}: a user has so many connections`, async (t) => {
    const { app, client } = await make(t, { limits: { connections: { perUser: 1 } } })
    app.channel('rooms/:room', { onSubscribe: true })
    const first = await client('ada')
    await connected(first)
    const second = await client('ada')
    const gone = next(second, 'disconnected')
    second.connect()
    t.match(await gone, { code: 3_504 })
    first.disconnect()
    await until(() => app.realtime.connections().length === 0)
    const third = await client('ada')
    await connected(third)
  })

  t.test(`${transport}: commands past the rate are refused`, async (t) => {
    const { app, client } = await make(t, { limits: { messages: { rate: 0.001, burst: 2 } } })
    app.rpc('echo', ({ data }) => data)
    const ada = await client('ada')
    await connected(ada)
    t.equal((await ada.rpc('echo', 1)).data, 1)
    await t.rejects(ada.rpc('echo', 2), { code: 111 })
  })

  t.test(`${transport}: metrics and the log line name the transport`, async (t) => {
    const metrics = new Registry()
    const { app, client, logs } = await make(t, { metrics, logConnections: 'info' })
    app.channel('rooms/:room', { onSubscribe: true })
    const ada = await client('ada')
    await connected(ada)
    const text = await metrics.metrics()
    const labels = `route="/connection/${transport}",transport="${transport}"`
    t.match(text, `realtime_connections{${labels}} 1`)
    t.match(text, `realtime_connections_opened_total{${labels}} 1`)
    ada.disconnect()
    await until(() => logs.some(({ msg }) => msg === 'connection ended'))
    t.match(
      logs.find(({ msg }) => msg === 'connection ended'),
      { transport, kind: 'channels', user: 'ada', by: 'client' }
    )
  })

  t.test(`${transport}: a client that answers no ping is disconnected`, async (t) => {
    const metrics = new Registry()
    const { app, client } = await make(t, { metrics, heartbeat: { interval: 100, timeout: 100 } })
    app.channel('rooms/:room', { onSubscribe: true })
    const ada = await client('ada')
    await connected(ada)
    await until(() => app.realtime.connections()[0]?.roundTripTime !== undefined)
    t.equal(ada.state, 'connected')
    const [transportOfClient] = [(ada as unknown as { _transport: { send(): void } })._transport]
    transportOfClient.send = () => undefined
    t.match(await next(ada, 'connecting'), { code: 3_012 })
    t.match(await metrics.metrics(), /realtime_heartbeat_timeouts_total [1-9]/)
  })
}

for (const transport of TRANSPORTS) stories(transport)
