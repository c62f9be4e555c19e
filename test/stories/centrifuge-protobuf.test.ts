import { EventEmitter, once } from 'node:events'
import type { Centrifuge, PublicationContext, Subscription } from 'centrifuge'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { WebSocket } from 'ws'
import { ChannelError, forbidden } from '../../lib/index.ts'
import type { RealtimeOptions } from '../../lib/options/options.ts'
import { createPublisher } from '../../lib/publisher.ts'
import { testToken } from '../../lib/testing/index.ts'
import { atLeast, buildApp } from '../support/app.ts'
import { asBytes, centrifuge, endpointOf, fromBytes, next, protobufCentrifuge, record } from '../support/centrifuge.ts'
import { connect } from '../support/connect.ts'
import { commandBytes } from '../support/protobuf.ts'
import { RedisServer } from '../support/redis-server.ts'

/* The published client in its Protobuf build: against one process, and over Redis beside clients of other kinds. */

const history = { size: 100, ttl: 60_000 }
const values = async (recorded: ReturnType<typeof record>, count: number) => (await recorded.upTo(count)).map(fromBytes)
const token = (sub: string, more: object = {}) => testToken({ sub, ...more })

t.test('connect, subscribe, publish, recover, and end', async (t) => {
  const { app, logs } = await buildApp(t, {
    channels: { onConnect: ({ data, name }) => ({ data: { hello: data, name } }) }
  })
  app.channel('rooms/:room', { onSubscribe: ({ data }) => ({ data: { data } }), history, onPublish: () => undefined })
  const client = protobufCentrifuge(t, await endpointOf(app), {
    token: token('ada'),
    data: asBytes({ a: 'é' }),
    name: 'js'
  })
  client.connect()
  const connected = await next(client, 'connected')
  t.match(connected, { client: String, transport: 'websocket' })
  t.same(fromBytes(connected.data), { hello: { a: 'é' }, name: 'js' })
  const room = client.newSubscription('rooms/1', { data: asBytes('in') as never })
  const heard = record(room)
  room.subscribe()
  const subscribed = await next(room, 'subscribed')
  t.match(subscribed, { recoverable: true, positioned: true, wasRecovering: false })
  t.same(fromBytes(subscribed.data), { data: 'in' })
  await room.publish(asBytes({ n: 1 }))
  await client.publish('rooms/1', asBytes({ n: 2 }))
  t.same(await values(heard, 2), [{ n: 1 }, { n: 2 }])

  const again = next(room, 'subscribed')
  await app.realtime.disconnect({ user: 'ada' }, { code: 3000, reason: 'again' })
  await app.realtime.publish('rooms/1', { n: 3 })
  t.match(await again, { wasRecovering: true, recovered: true, hasRecoveredPublications: true })
  await app.realtime.publish('rooms/1', { n: 4 })
  t.same(
    await values(heard, 4),
    [1, 2, 3, 4].map((n) => ({ n }))
  )

  const ended = next(room, 'unsubscribed')
  await app.realtime.unsubscribe({ user: 'ada' }, 'rooms/1')
  t.match(await ended, { code: 2000, reason: 'server unsubscribe' })
  const disconnected = next(client, 'disconnected')
  await app.realtime.disconnect({ user: 'ada' }, { code: 4500, reason: 'enough' })
  t.match(await disconnected, { code: 4500, reason: 'enough' })
  t.same(atLeast(logs, 'warn'), [])
})

t.test('calls, messages and errors', async (t) => {
  const messages: unknown[] = []
  const { app } = await buildApp(t, { channels: { onMessage: ({ data }) => void messages.push(data) } })
  app.rpc('echo', ({ data, user }) => ({ data, user: user?.sub }))
  app.rpc('busy', () => {
    throw new ChannelError(450, 'busy', { temporary: true })
  })
  app.channel('closed', {
    onSubscribe: () => {
      throw forbidden()
    }
  })
  const client = protobufCentrifuge(t, await endpointOf(app), { token: token('ada') })
  client.connect()
  await client.ready()
  t.same(fromBytes((await client.rpc('echo', asBytes([1, 'é']))).data), { data: [1, 'é'], user: 'ada' })
  t.same(fromBytes((await client.rpc('echo', new Uint8Array(0))).data), { user: 'ada' })
  await client.send(asBytes({ hi: 1 }))
  const rejected = (promise: Promise<unknown>) =>
    promise.then(
      () => undefined,
      (error: unknown) => error
    )
  t.match(await rejected(client.rpc('none', asBytes(1))), { code: 104, message: 'method not found' })
  t.match(await rejected(client.rpc('busy', asBytes(1))), { code: 450, message: 'busy', temporary: true })
  t.match(await rejected(client.rpc('echo', new TextEncoder().encode('{'))), { code: 107 })
  t.match(await rejected(client.publish('closed', asBytes(1))), { code: 103 })
  t.same(messages, [{ hi: 1 }])
  for (const [channel, code] of [
    ['closed', 103],
    ['nowhere', 102]
  ] as const) {
    const subscription = client.newSubscription(channel)
    subscription.subscribe()
    t.match(await next(subscription, 'unsubscribed'), { code })
  }
})

t.test('tokens that expire, of the connection and of a subscription', async (t) => {
  const { app } = await buildApp(t)
  app.channel('secret/:id', { token: true })
  const url = await endpointOf(app)
  let fetched = 0
  const soon = () => Math.floor(Date.now() / 1000) + 3
  const client = protobufCentrifuge(t, url, {
    getToken: async () => token('ada', fetched++ === 0 ? { exp: soon() } : {})
  })
  client.connect()
  await client.ready()
  let subFetched = 0
  let twice: () => void = () => undefined
  const fetchedTwice = new Promise<void>((resolve) => {
    twice = resolve
  })
  const secret = client.newSubscription('secret/1', {
    getToken: async () => {
      if (++subFetched === 2) twice()
      return token('ada', { channel: 'secret/1', ...(subFetched === 1 && { exp: soon() }) })
    }
  })
  secret.subscribe()
  await secret.ready()
  await fetchedTwice
  await client.rpc('none', asBytes(1)).catch(() => undefined)
  t.equal(secret.state, 'subscribed')
  const stranger = protobufCentrifuge(t, url, { token: testToken({}, { secret: 'x'.repeat(32) }) })
  stranger.connect()
  t.match(await next(stranger, 'disconnected'), { code: 3500, reason: 'invalid token' })
})

t.test('history, presence, join and leave, with descriptions as bytes', async (t) => {
  const { app } = await buildApp(t)
  app.channel('rooms/:room', {
    history,
    presence: true,
    joinLeave: true,
    onPublish: true,
    onSubscribe: ({ user }) => ({ info: { seat: user?.sub } })
  })
  const url = await endpointOf(app)
  const [ada, bob] = ['ada', 'bob'].map((sub) => {
    const client = protobufCentrifuge(t, url, { token: token(sub, { info: { nick: sub.toUpperCase() } }) })
    client.connect()
    return client
  }) as [Centrifuge, Centrifuge]
  const room = ada.newSubscription('rooms/1', { joinLeave: true })
  room.subscribe()
  await next(room, 'subscribed')
  const joined = next<{ info: Info }>(room, 'join')
  const bobs = bob.newSubscription('rooms/1')
  bobs.subscribe()
  t.same(plain((await joined).info), ['bob', { nick: 'BOB' }, { seat: 'bob' }])
  const { clients } = await room.presence()
  t.same(
    Object.values(clients)
      .map((info) => plain(info as Info))
      .sort(),
    [
      ['ada', { nick: 'ADA' }, { seat: 'ada' }],
      ['bob', { nick: 'BOB' }, { seat: 'bob' }]
    ]
  )
  t.same(await room.presenceStats(), { numClients: 2, numUsers: 2 })
  const published = next<PublicationContext>(room, 'publication')
  await bobs.publish(asBytes('from bob'))
  t.same(plain((await published).info as unknown as Info), ['bob', { nick: 'BOB' }, { seat: 'bob' }])
  for (let n = 2; n <= 25; n++) await app.realtime.publish('rooms/1', n)
  const page = await room.history({ limit: 10, reverse: true })
  t.same(
    page.publications.map(({ data }) => fromBytes(data)),
    [25, 24, 23, 22, 21, 20, 19, 18, 17, 16]
  )
  t.equal(page.offset, 25)
  const since = { offset: 20, epoch: page.epoch }
  t.same(
    (await room.history({ limit: 3, since })).publications.map(({ offset }) => offset),
    [21, 22, 23]
  )
  const left = next<{ info: Info }>(room, 'leave')
  bobs.unsubscribe()
  t.equal((await left).info.user, 'bob')
})

t.test('subscriptions by the server, and pings', async (t) => {
  const { app } = await buildApp(t, {
    heartbeat: { interval: 1_000 },
    channels: { onConnect: () => ({ subscriptions: ['users/ada'] }) }
  })
  app.channel('users/:user', { history })
  app.channel('news', {})
  const events = new EventEmitter()
  let pings = 0
  class Watched extends WebSocket {
    constructor(url: string, protocols: string[]) {
      super(url, protocols)
      this.on('message', (data: Buffer) => {
        if (data.length > 1) return
        pings++
        events.emit('ping')
      })
    }
  }
  const client = protobufCentrifuge(t, await endpointOf(app), { token: token('ada'), websocket: Watched })
  const heard: unknown[] = []
  client.on('publication', ({ channel, data }) => heard.push([channel, fromBytes(data)]))
  client.connect()
  await next(client, 'subscribed')
  const second = next(client, 'subscribed')
  await app.realtime.subscribe({ user: 'ada' }, 'news')
  t.match(await second, { channel: 'news' })
  const published = next(client, 'publication')
  await app.realtime.publish('users/ada', 1)
  await published
  t.same(heard, [['users/ada', 1]])
  // A client that did not answer would be closed before the third.
  while (pings < 3) await once(events, 'ping')
  t.equal(client.state, 'connected')
})

/** Clients of all kinds on nodes that share nothing, or a Redis. The first and the second use different nodes. */
async function together(t: Test, options: RealtimeOptions, nodes: number) {
  const apps = await Promise.all(
    Array.from({ length: nodes }, async () => {
      const { app } = await buildApp(t, options)
      app.channel('rooms/:room', { onSubscribe: true, onPublish: true, history, presence: true, publishers: 'clients' })
      app.channel('files/:file', { binary: true, onSubscribe: true, onPublish: true, history })
      app.ws('/rooms/:room', async (socket, request) => {
        const room = `rooms/${(request.params as { room: string }).room}`
        await socket.subscribe(room, { presence: true })
        socket.sendJson('ready')
        for await (const message of socket.messages()) await socket.publish(room, message)
      })
      return { app, url: await endpointOf(app) }
    })
  )
  const at = (index: number) => apps[index % nodes] as (typeof apps)[0]
  return { apps, at }
}

const KINDS = [
  { name: 'in memory', open: async () => ({ options: {} as RealtimeOptions, nodes: 1 }) },
  {
    name: 'over two nodes with Redis',
    open: async (t: Test) => ({ options: { redis: (await RedisServer.start(t)).url } as RealtimeOptions, nodes: 2 })
  }
]

for (const { name, open } of KINDS) {
  t.test(`clients of JSON, of Protobuf and of app.ws meet on one channel, ${name}`, async (t) => {
    const { options, nodes } = await open(t)
    const { at } = await together(t, options, nodes)
    const protobuf = protobufCentrifuge(t, at(0).url, { token: token('ada') })
    const json = centrifuge(t, at(1).url, { token: token('bob') })
    const socket = await connect(at(1).app, '/rooms/1', { token: token('eve') })
    t.equal(await socket.next(), 'ready')
    const subscriptions = [protobuf, json].map((client) => {
      client.connect()
      return client.newSubscription('rooms/1')
    }) as [Subscription, Subscription]
    const [byProtobuf, byJson] = subscriptions.map(record) as [ReturnType<typeof record>, ReturnType<typeof record>]
    for (const subscription of subscriptions) {
      subscription.subscribe()
      await next(subscription, 'subscribed')
    }
    await subscriptions[0].publish(asBytes({ from: 'protobuf', n: 1.5 }))
    await subscriptions[1].publish({ from: 'json' })
    await byJson.upTo(2)
    socket.send({ from: 'socket' })
    await byJson.upTo(3)
    await at(0).app.realtime.publish('rooms/1', { from: 'application' })
    const all = [{ from: 'protobuf', n: 1.5 }, ...['json', 'socket', 'application'].map((from) => ({ from }))]
    t.same(await byJson.upTo(4), all)
    t.same(await values(byProtobuf, 4), all)
    for (const data of all) t.match(await socket.next(), { channel: 'rooms/1', data })
    const { clients } = await subscriptions[0].presence()
    t.same(
      Object.values(clients)
        .map(({ user }) => user)
        .sort(),
      ['ada', 'bob', 'eve']
    )

    const again = next(subscriptions[0], 'subscribed')
    await at(1).app.realtime.disconnect({ user: 'ada' }, { code: 3000, reason: 'again' })
    await subscriptions[1].publish({ from: 'json, while ada is away' })
    t.match(await again, { recovered: true })
    t.same((await values(byProtobuf, 5)).at(-1), { from: 'json, while ada is away' })
  })

  t.test(`a channel of bytes, ${name}`, async (t) => {
    const { options, nodes } = await open(t)
    const { at } = await together(t, options, nodes)
    const all = Uint8Array.from({ length: 256 }, (_, byte) => byte)
    const [ada, bob] = [0, 1].map((index) => {
      const client = protobufCentrifuge(t, at(index).url, { token: token(`user ${index}`) })
      client.connect()
      return client.newSubscription('files/1')
    }) as [Subscription, Subscription]
    const heard = [ada, bob].map(record)
    for (const subscription of [ada, bob]) {
      subscription.subscribe()
      await next(subscription, 'subscribed')
    }
    await ada.publish(all)
    await at(1).app.realtime.publish('files/1', Buffer.from('{"it":"may be JSON"}'))
    const expected = [Buffer.from(all), Buffer.from('{"it":"may be JSON"}')]
    for (const recorded of heard) {
      t.same(
        (await recorded.upTo(2)).map((data) => Buffer.from(data as Uint8Array)),
        expected
      )
    }
    const again = next(bob, 'subscribed')
    await at(0).app.realtime.disconnect({ user: 'user 1' }, { code: 3000, reason: 'again' })
    await ada.publish(Uint8Array.from([0xff]))
    t.match(await again, { recovered: true })
    t.same(Buffer.from((await heard[1]?.upTo(3))?.[2] as Uint8Array), Buffer.from([0xff]))
    const { publications } = await bob.history({ limit: 10 })
    t.same(
      publications.map(({ data }) => data.length),
      [256, 20, 1]
    )
    t.match(await at(1).app.realtime.history('files/1'), {
      publications: [{ data: Buffer.from(all), offset: 1 }, {}, {}]
    })

    const json = centrifuge(t, at(0).url, { token: token('json') })
    json.connect()
    const refused = json.newSubscription('files/1')
    refused.subscribe()
    t.match(await next(refused, 'unsubscribed'), { code: 108, reason: 'not available' })
    t.match(await json.publish('files/1', 1).catch((error: unknown) => error), { code: 108 })
    t.match(await json.history('files/1', { limit: 1 }).catch((error: unknown) => error), { code: 108 })
    await t.rejects(at(0).app.realtime.publish('files/1', 'text'), { code: 'FST_RT_INVALID_BYTES' })
    await t.rejects(at(0).app.realtime.publish('rooms/1', all), { code: 'FST_RT_INVALID_DATA' })
  })
}

t.test('a worker publishes bytes to subscribers of a server', async (t) => {
  const redis = await RedisServer.start(t)
  const { at } = await together(t, { redis: redis.url }, 1)
  const publisher = await createPublisher({ redis: redis.url, history: () => history, binary: () => true })
  t.teardown(() => publisher.close())
  const client = protobufCentrifuge(t, at(0).url, { token: token('ada') })
  client.connect()
  const subscription = client.newSubscription('files/1')
  const heard = record(subscription)
  subscription.subscribe()
  await next(subscription, 'subscribed')
  await publisher.publish('files/1', Uint8Array.from([0, 0xff]))
  t.same(Buffer.from((await heard.upTo(1))[0] as Uint8Array), Buffer.from([0, 0xff]))
})

t.test('any bytes as messages end a connection at most', async (t) => {
  const { app, logs } = await buildApp(t, { auth: false, limits: { messages: false, bytes: false } })
  app.channel('rooms/:room', { onSubscribe: true, onPublish: true, history })
  const first = commandBytes({ id: 1, connect: {} })
  const valid = commandBytes(
    { id: 2, subscribe: { channel: 'rooms/1', recover: true, epoch: 'e' } },
    { id: 3, publish: { channel: 'rooms/1', data: asBytes({ a: [1] }) } },
    { id: 4, history: { channel: 'rooms/1', limit: 1 } }
  )
  const changes = fc.array(fc.tuple(fc.nat({ max: valid.length - 1 }), fc.nat({ max: 255 })), { maxLength: 4 })
  const mutated = changes.map((list) => {
    const copy = Buffer.from(valid)
    for (const [at, byte] of list) copy[at] = byte
    return copy
  })
  const message = fc.oneof(
    fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)),
    mutated
  )
  const messages = fc.sample(message, { numRuns: 400, seed: 11 })
  for (let at = 0; at < messages.length; at += 20) {
    const sockets = await Promise.all(
      messages.slice(at, at + 20).map(async (bytes) => {
        const socket = await connect(app, '/connection/websocket', { protocols: ['centrifuge-protobuf'] })
        socket.sendRaw(first)
        await socket.nextRaw()
        socket.sendRaw(bytes)
        // A message of the wrong kind ends the connection, if the bytes before have not.
        socket.sendRaw('end')
        return socket
      })
    )
    for (const socket of sockets) {
      const { code } = await socket.closed()
      t.ok(code === 3501 || code === 3506, `${code}`)
    }
  }
  t.same(atLeast(logs, 'error'), [])
  const client = protobufCentrifuge(t, await endpointOf(app))
  client.connect()
  await client.ready()
})

interface Info {
  readonly user: string
  readonly connInfo: unknown
  readonly chanInfo: unknown
}

function plain({ user, connInfo, chanInfo }: Info): unknown[] {
  return [user, fromBytes(connInfo), fromBytes(chanInfo)]
}
