import { setImmediate as nextTurn } from 'node:timers/promises'
import { type PublicationContext, UnauthorizedError } from 'centrifuge'
import t from 'tap'
import { WebSocket } from 'ws'
import { ChannelError, forbidden } from '../../lib/index.ts'
import { testToken } from '../../lib/testing/index.ts'
import { atLeast, buildApp } from '../support/app.ts'
import { centrifuge, endpointOf, next, record, withToken } from '../support/centrifuge.ts'
import { connect } from '../support/connect.ts'
import { Speaker } from '../support/speaker.ts'

/* The published client against one process. */

const history = { size: 100, ttl: 60_000 }

t.test('connect with a token, subscribe, publish, and recover', async (t) => {
  const { app, logs } = await buildApp(t)
  app.channel('rooms/:room', { onSubscribe: true, history, onPublish: () => undefined })
  const client = centrifuge(t, await endpointOf(app), { token: testToken({ sub: 'ada' }) })
  client.connect()
  t.match(await next(client, 'connected'), { client: String, transport: 'websocket' })
  const subscription = client.newSubscription('rooms/1')
  const heard = record(subscription)
  subscription.subscribe()
  t.match(await next(subscription, 'subscribed'), { recoverable: true, positioned: true, wasRecovering: false })
  await subscription.publish({ n: 1 })
  await client.publish('rooms/1', { n: 2 })
  t.same(await heard.upTo(2), [{ n: 1 }, { n: 2 }])

  const again = next(subscription, 'subscribed')
  await app.realtime.disconnect({ user: 'ada' }, { code: 3000, reason: 'again' })
  await app.realtime.publish('rooms/1', { n: 3 })
  t.match(await again, { wasRecovering: true, recovered: true, hasRecoveredPublications: true })
  await app.realtime.publish('rooms/1', { n: 4 })
  t.same(await heard.upTo(4), [{ n: 1 }, { n: 2 }, { n: 3 }, { n: 4 }])
  t.same(atLeast(logs, 'warn'), [])
})

t.test('tokens: expired at connect, refreshed before they expire, refused', async (t) => {
  const { app } = await buildApp(t)
  app.channel('rooms/:room', { onSubscribe: true, history })
  const url = await endpointOf(app)
  let fetched = 0
  const short = () => testToken({ sub: 'ada', exp: Math.floor(Date.now() / 1000) + 3 })
  const client = centrifuge(t, url, {
    token: testToken({ sub: 'ada' }, { expiresIn: -60_000 }),
    getToken: async () => {
      fetched++
      return fetched === 1 ? short() : testToken({ sub: 'ada' })
    }
  })
  const states: string[] = []
  client.on('state', ({ newState }) => states.push(newState))
  client.on('error', ({ error }) => states.push(String(error.code)))
  client.connect()
  await client.ready()
  t.same(states, ['connecting', '109', 'connected'])
  const subscription = client.newSubscription('rooms/1')
  subscription.subscribe()
  await subscription.ready()
  // One that doesn't come with another token tells when the first one's time is over.
  const witness = await Speaker.open(app, { connect: { token: short() } })
  t.same(await witness.closed(), { code: 3005, reason: 'connection expired' })
  t.equal(fetched, 2)
  t.same(states, ['connecting', '109', 'connected'])

  const stranger = centrifuge(t, url, { token: testToken({}, { secret: 'x'.repeat(32) }) })
  stranger.connect()
  t.match(await next(stranger, 'disconnected'), { code: 3500, reason: 'invalid token' })
  const nobody = centrifuge(t, url)
  nobody.connect()
  t.match(await next(nobody, 'disconnected'), { code: 101, reason: 'unauthorized' })
  const unauthorized = centrifuge(t, url, {
    getToken: async () => {
      throw new UnauthorizedError('log in first')
    }
  })
  unauthorized.connect()
  t.match(await next(unauthorized, 'disconnected'), { code: 1, reason: 'unauthorized' })
})

t.test('the token in the subprotocol', async (t) => {
  const { app } = await buildApp(t)
  app.channel('rooms/:room', { onSubscribe: true, history })
  let expiresIn = 1_500
  const websocket = withToken(() => testToken({ sub: 'ada' }, { expiresIn }))
  const client = centrifuge(t, await endpointOf(app), { websocket })
  client.connect()
  await client.ready()
  t.equal(app.realtime.connections()[0]?.user, 'ada')
  expiresIn = 60_000
  const again = next(client, 'connecting')
  t.match(await again, { code: 3005, reason: 'connection expired' })
  await next(client, 'connected')
})

t.test('anonymous clients', async (t) => {
  const { app } = await buildApp(t, { auth: false })
  app.channel('rooms/:room', { onSubscribe: ({ user }) => void t.equal(user, null) })
  const client = centrifuge(t, await endpointOf(app))
  client.connect()
  const subscription = client.newSubscription('rooms/1')
  subscription.subscribe()
  t.match(await next(subscription, 'subscribed'), { recoverable: false, positioned: false })
})

t.test('subscriptions with parameters, data, tokens and refusals', async (t) => {
  const { app } = await buildApp(t)
  app.channel('boards/:board/:layer', {
    onSubscribe: ({ user, params, data, channel, connection }) => {
      t.match({ user, channel, connection }, { user: { sub: 'ada' }, channel: /^boards/, connection: String })
      if (params.board === 'hidden') throw forbidden()
      return { data: { ...params, data } }
    }
  })
  app.channel('secret/:id', {
    token: true,
    onRefresh: ({ claims }) => void t.equal(claims?.channel, 'secret/1')
  })
  const client = centrifuge(t, await endpointOf(app), { token: testToken({ sub: 'ada' }) })
  client.connect()
  const board = client.newSubscription('boards/1/ink', { data: { from: 'here' } })
  board.subscribe()
  const { data } = await next<{ data: unknown }>(board, 'subscribed')
  t.same(data, { board: '1', layer: 'ink', data: { from: 'here' } })

  for (const [channel, code] of [
    ['boards/hidden/ink', 103],
    ['nowhere', 102]
  ] as const) {
    const refused = client.newSubscription(channel)
    refused.subscribe()
    t.match(await next(refused, 'unsubscribed'), { code })
  }

  const expiries = [1_000, 2_500, 60_000]
  let fetched = 0
  let gotAll: () => void = () => undefined
  const all = new Promise<void>((resolve) => {
    gotAll = resolve
  })
  const secret = client.newSubscription('secret/1', {
    token: testToken({ sub: 'ada', channel: 'secret/1' }, { expiresIn: -60_000 }),
    getToken: async () => {
      const left = expiries[fetched++] ?? 0
      if (fetched === expiries.length) gotAll()
      return testToken({ sub: 'ada', channel: 'secret/1', exp: Math.ceil((Date.now() + left) / 1000) })
    }
  })
  const events: string[] = []
  secret.on('error', ({ error }) => events.push(`error ${error.code}`))
  secret.on('subscribed', () => events.push('subscribed'))
  secret.on('subscribing', ({ code }) => events.push(`subscribing ${code}`))
  secret.subscribe()
  await secret.ready()
  t.same(events, ['subscribing 0', 'error 109', 'subscribed'])
  await all
  await client.rpc('x', null).catch(() => undefined)
  t.equal(secret.state, 'subscribed')
})

t.test('history in pages, presence, join and leave', async (t) => {
  const { app } = await buildApp(t)
  app.channel('rooms/:room', {
    history,
    presence: true,
    joinLeave: true,
    onPublish: () => undefined,
    onSubscribe: ({ user }) => ({ info: { seat: user?.sub } })
  })
  const url = await endpointOf(app)
  const [ada, bob] = ['ada', 'bob'].map((sub) =>
    centrifuge(t, url, { token: testToken({ sub, info: { nick: sub.toUpperCase() } }) })
  ) as [ReturnType<typeof centrifuge>, ReturnType<typeof centrifuge>]
  ada.connect()
  const room = ada.newSubscription('rooms/1', { joinLeave: true })
  room.subscribe()
  t.match(await next(room, 'join'), { info: { user: 'ada', connInfo: { nick: 'ADA' }, chanInfo: { seat: 'ada' } } })
  bob.connect()
  const joined = next(room, 'join')
  const bobs = bob.newSubscription('rooms/1')
  bobs.subscribe()
  t.match(await joined, { info: { user: 'bob', client: String, chanInfo: { seat: 'bob' } } })

  const { clients } = await room.presence()
  t.same(
    Object.values(clients)
      .map(({ user }) => user)
      .sort(),
    ['ada', 'bob']
  )
  t.same(await room.presenceStats(), { numClients: 2, numUsers: 2 })
  t.match(await app.realtime.presenceStats('rooms/1'), { connections: 2, users: 2 })
  t.match(await app.realtime.presence('rooms/1'), [{ connectionInfo: { nick: String }, channelInfo: { seat: String } }])

  const published = next<PublicationContext>(room, 'publication')
  await bobs.publish('from bob')
  t.match((await published).info, { user: 'bob', connInfo: { nick: 'BOB' }, chanInfo: { seat: 'bob' } })
  for (let n = 2; n <= 25; n++) await app.realtime.publish('rooms/1', n)
  const seen: unknown[] = []
  let { offset, epoch } = await room.history({ limit: 0 })
  t.equal(offset, 25)
  let since = { offset: 0, epoch }
  for (;;) {
    const page = await room.history({ limit: 10, since })
    if (page.publications.length === 0) break
    seen.push(...page.publications.map(({ data }) => data))
    since = { offset: page.publications.at(-1)?.offset as number, epoch: page.epoch }
  }
  t.equal(seen.length, 25)
  const newest = await room.history({ limit: 1, reverse: true })
  t.match(newest.publications, [{ data: 25, offset: 25 }])
  await t.rejects(
    room.history({ limit: 1, since: { offset: 1, epoch: 'other' } }) as Promise<unknown>,
    { code: 112 } as never
  )
  ;({ offset, epoch } = await app.realtime.history('rooms/1', { limit: 0 }))
  t.equal(epoch, since.epoch)

  const left = next(room, 'leave')
  bob.disconnect()
  t.match(await left, { info: { user: 'bob' } })
  t.match(await room.presenceStats(), { numClients: 1 })
})

t.test('calls and messages', async (t) => {
  const messages: unknown[] = []
  let arrived: () => void = () => undefined
  const { app } = await buildApp(t, {
    channels: {
      maxCalls: 2,
      onMessage: ({ data, user }) => {
        messages.push([user?.sub, data])
        arrived()
      }
    }
  })
  let running = 0
  let most = 0
  app.rpc('slow', async ({ data }) => {
    most = Math.max(most, ++running)
    await nextTurn()
    await nextTurn()
    running--
    return data
  })
  app.rpc('refused', () => {
    throw new ChannelError(402, 'pay first')
  })
  await app.register(
    async (scope) => {
      scope.decorate('answer', 42)
      scope.rpc('answer', function () {
        return (this as unknown as { answer: number }).answer
      })
    },
    { prefix: '/v1' }
  )
  const client = centrifuge(t, await endpointOf(app), { token: testToken({ sub: 'ada' }) })
  // Before it is connected.
  const calls = Array.from({ length: 10 }, (_, n) => client.rpc('slow', n))
  client.connect()
  t.same(
    (await Promise.all(calls)).map(({ data }) => data),
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
  )
  t.equal(most, 2)
  t.same(await client.rpc('v1/answer', null), { data: 42 })
  await t.rejects(client.rpc('refused', null), { code: 402, message: 'pay first' } as never)
  await t.rejects(client.rpc('unknown', null), { code: 104 } as never)
  const sent = new Promise<void>((resolve) => {
    arrived = resolve
  })
  await client.send({ hello: 'there' })
  await sent
  t.same(messages, [['ada', { hello: 'there' }]])
})

t.test('subscriptions by the server', async (t) => {
  const { app } = await buildApp(t, {
    channels: { onConnect: ({ user }) => ({ subscriptions: [`users/${user?.sub}`] }) }
  })
  const ended: unknown[] = []
  app.channel('users/:user', { history, onUnsubscribe: ({ params, code }) => ended.push([params.user, code]) })
  app.channel('news', { onSubscribe: true })
  const client = centrifuge(t, await endpointOf(app), { token: testToken({ sub: 'ada' }) })
  const heard: unknown[] = []
  client.on('publication', ({ channel, data }) => heard.push([channel, data]))
  client.connect()
  t.match(await next(client, 'subscribed'), { channel: 'users/ada', recoverable: true })
  const first = next(client, 'publication')
  await app.realtime.publish('users/ada', 1)
  await first
  const again = next(client, 'publication')
  await app.realtime.disconnect({ user: 'ada' }, { code: 3000 })
  await app.realtime.publish('users/ada', 2)
  await again

  const subscribed = next(client, 'subscribed')
  await app.realtime.subscribe({ user: 'ada' }, 'news')
  t.match(await subscribed, { channel: 'news' })
  const news = next(client, 'publication')
  await app.realtime.publish('news', 'first')
  await news
  const unsubscribed = next(client, 'unsubscribed')
  await app.realtime.unsubscribe({ user: 'ada' }, 'news')
  t.match(await unsubscribed, { channel: 'news' })
  t.same(heard, [
    ['users/ada', 1],
    ['users/ada', 2],
    ['news', 'first']
  ])
  t.same(ended, [['ada', 1]])
})

t.test('why a client is disconnected, and whether it comes back', async (t) => {
  const { app } = await buildApp(t, { auth: false })
  app.channel('rooms/:room', { onSubscribe: true })
  const url = await endpointOf(app)
  const client = centrifuge(t, url)
  client.connect()
  await client.ready()
  const connecting = next(client, 'connecting')
  await app.realtime.disconnect(
    { connection: app.realtime.connections()[0]?.id as string },
    { code: 4001, reason: 'hop' }
  )
  t.match(await connecting, { code: 4001, reason: 'hop' })
  await client.ready()
  const stopped = next(client, 'disconnected')
  await app.realtime.disconnect({ connection: app.realtime.connections()[0]?.id as string })
  t.match(await stopped, { code: 3503, reason: 'force disconnect' })
  client.connect()
  await client.ready()
  const unheard = next(client, 'disconnected')
  await client.send('nobody listens')
  t.match(await unheard, { code: 3508, reason: 'not available' })
})

t.test('a client that answers no ping, and a server that sends none', async (t) => {
  const { app } = await buildApp(t, { auth: false, heartbeat: { interval: 100, timeout: 200 } })
  app.channel('rooms/:room', { onSubscribe: true })
  class Deaf extends WebSocket {
    override send(data: never): void {
      if (data !== ('{}' as never)) super.send(data)
    }
  }
  const url = await endpointOf(app)
  const lively = centrifuge(t, url)
  lively.connect()
  await lively.ready()
  const client = centrifuge(t, url, { websocket: Deaf })
  client.connect()
  await client.ready()
  t.match(await next(client, 'connecting'), { code: 3012, reason: 'no pong' })
  t.equal(lively.state, 'connected')
  t.type(app.realtime.connections().find(({ roundTripTime }) => roundTripTime !== undefined)?.roundTripTime, 'number')
})

t.test('recovered: false once history was trimmed, and what comes after it', async (t) => {
  const { app } = await buildApp(t)
  app.channel('short/:id', { onSubscribe: true, history: { size: 5, ttl: 60_000 } })
  const client = centrifuge(t, await endpointOf(app), { token: testToken({ sub: 'ada' }) })
  client.connect()
  const subscription = client.newSubscription('short/1')
  const heard = record(subscription)
  subscription.subscribe()
  await subscription.ready()
  await app.realtime.publish('short/1', 1)
  await heard.upTo(1)
  client.disconnect()
  for (let n = 2; n <= 10; n++) await app.realtime.publish('short/1', n)
  const again = next(subscription, 'subscribed')
  client.connect()
  t.match(await again, { wasRecovering: true, recovered: false, streamPosition: { offset: 10 } })
  await app.realtime.publish('short/1', 11)
  t.same(await heard.upTo(2), [1, 11])
})

t.test('sockets, routes and clients of channels are one hub', async (t) => {
  const { app } = await buildApp(t)
  app.channel('rooms/:room', { onSubscribe: true, history, onPublish: () => undefined })
  app.ws('/rooms', async (socket) => {
    await socket.subscribe('rooms/1')
    socket.sendJson('ready')
    for await (const message of socket.messages()) await socket.publish('rooms/1', message)
  })
  const client = centrifuge(t, await endpointOf(app), { token: testToken({ sub: 'ada' }) })
  client.connect()
  const subscription = client.newSubscription('rooms/1')
  const heard = record(subscription)
  subscription.subscribe()
  await subscription.ready()
  const socket = await connect(app, '/rooms', { token: testToken({ sub: 'bob' }) })
  t.equal(await socket.next(), 'ready')
  socket.send({ from: 'socket' })
  t.match(await socket.next(), { data: { from: 'socket' }, offset: 1 })
  await subscription.publish({ from: 'client' })
  t.match(await socket.next(), { data: { from: 'client' }, offset: 2 })
  await app.realtime.publish('rooms/1', { from: 'route' })
  t.match(await socket.next(), { data: { from: 'route' }, offset: 3 })
  t.same(await heard.upTo(3), [{ from: 'socket' }, { from: 'client' }, { from: 'route' }])
})
