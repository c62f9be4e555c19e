import { once } from 'node:events'
import t from 'tap'
import { Realtime, type RealtimeParts } from '../../lib/node/realtime.ts'
import { connect, testToken } from '../../lib/testing/index.ts'
import { sessionRig } from '../session/session-rig.ts'
import { buildApp } from '../support/app.ts'
import { Speaker } from '../support/speaker.ts'

t.test('an HTTP route publishes to sockets', async (t) => {
  const { app } = await buildApp(t)
  app.ws('/boards/:board', async (socket, request) => {
    const { board } = request.params as { board: string }
    await socket.subscribe(`boards/${board}`)
    socket.sendJson('subscribed')
    for await (const stroke of socket.messages()) await socket.publish(`boards/${board}`, stroke)
  })
  app.post('/boards/:board', async (request) => {
    const { board } = request.params as { board: string }
    return app.realtime.publish(`boards/${board}`, request.body)
  })
  const clients = await Promise.all([1, 2].map(() => connect(app, '/boards/a', { token: testToken() })))
  for (const client of clients) t.equal(await client.next(), 'subscribed')
  const response = await app.inject({ method: 'POST', url: '/boards/a', payload: { points: [1, 2] } })
  t.strictSame(response.json(), { offset: 0, epoch: '' })
  clients[0]?.send({ points: [3] })
  for (const client of clients) {
    t.strictSame(await client.next(), { channel: 'boards/a', data: { points: [1, 2] } })
    t.strictSame(await client.next(), { channel: 'boards/a', data: { points: [3] } })
  }
})

t.test('connections are listed, and closed by user or id', async (t) => {
  const { app } = await buildApp(t)
  app.ws('/live', async (socket) => {
    await socket.subscribe('news')
    socket.sendJson('subscribed')
    await once(socket.signal, 'abort')
  })
  const open = async (sub: string) => {
    const client = await connect(app, '/live', { token: testToken({ sub }) })
    await client.next()
    return client
  }
  const [ann, bob, bobToo] = [await open('ann'), await open('bob'), await open('bob')]
  const listed = app.realtime.connections()
  t.match(listed, [
    { user: 'ann', route: '/live', subscriptions: ['news'], bufferedAmount: 0, stats: { messagesOut: 1 } },
    { user: 'bob' },
    { user: 'bob' }
  ])
  await app.realtime.disconnect({ user: 'bob' })
  for (const client of [bob, bobToo]) t.strictSame(await client.closed(), { code: 4403, reason: 'forbidden' })
  await app.realtime.unsubscribe({ user: 'ann' }, 'news')
  await app.realtime.publish('news', 1)
  await ann.expectNothing()
  await app.realtime.refresh({ user: 'ann' }, Math.floor(Date.now() / 1000) - 1)
  t.match(await ann.closed(), { code: 4401 })
})

t.test('the members of a channel are unsubscribed, or disconnected', async (t) => {
  const { app } = await buildApp(t)
  app.ws('/rooms/:room', async (socket, request) => {
    await socket.subscribe((request.params as { room: string }).room)
    socket.sendJson('subscribed')
    await once(socket.signal, 'abort')
  })
  const open = async (room: string) => {
    const client = await connect(app, `/rooms/${room}`, { token: testToken() })
    t.equal(await client.next(), 'subscribed')
    return client
  }
  const [tea, cake, other] = [await open('tea'), await open('cake'), await open('other')]
  const subscriptions = () => app.realtime.connections().map(({ subscriptions }) => subscriptions)
  t.same(subscriptions(), [['tea'], ['cake'], ['other']])
  await app.realtime.unsubscribe({ channel: 'tea' })
  t.same(subscriptions(), [[], ['cake'], ['other']])
  await app.realtime.publish('tea', 1)
  await tea.expectNothing()
  await app.realtime.disconnect({ channel: 'cake' }, { code: 4001, reason: 'closed' })
  t.same(await cake.closed(), { code: 4001, reason: 'closed' })
  await other.expectNothing()
  await t.rejects(app.realtime.unsubscribe({ channel: '' }), { code: 'FST_RT_INVALID_CHANNEL' })
  await t.rejects(app.realtime.unsubscribe({ user: 'ada' } as never), { code: 'FST_RT_INVALID_CHANNEL' })
  await t.rejects(app.realtime.unsubscribe(undefined as never), { code: 'FST_RT_INVALID_ARGUMENT' })
})

t.test('clients of channels are subscribed', async (t) => {
  const { app } = await buildApp(t)
  app.channel('news', { onSubscribe: true })
  const speaker = await Speaker.open(app, { memory: true, token: testToken({ sub: 'ada' }) })
  await app.realtime.subscribe({ user: 'ada' }, 'news')
  t.match(await speaker.next(), { push: { channel: 'news', subscribe: {} } })
  await app.realtime.publish('news', 1)
  t.match(await speaker.next(), { push: { channel: 'news', pub: { data: 1 } } })
  t.same(app.realtime.connections()[0]?.subscriptions, ['news'])
})

t.test('an argument that is wrong is said before any node is asked', async (t) => {
  // A code that no socket can be closed with went to every node, and was met there by nobody who could mend it.
  const { app } = await buildApp(t)
  app.ws('/live', async (socket) => {
    await socket.subscribe('news')
    socket.sendJson('subscribed')
    await once(socket.signal, 'abort')
  })
  const client = await connect(app, '/live', { token: testToken({ sub: 'ann' }) })
  await client.next()
  const ann = { user: 'ann' }
  const { realtime } = app
  const wrong: Promise<unknown>[] = [
    realtime.disconnect(ann, { code: 1006 }),
    realtime.disconnect({}),
    realtime.refresh(ann, Number.NaN),
    realtime.refresh(null as never, 5),
    realtime.subscribe({ user: 5 } as never, 'news'),
    realtime.unsubscribe({}, 'news'),
    realtime.history('news', { limit: Number.POSITIVE_INFINITY })
  ]
  for (const call of wrong)
    await t.rejects(call as Promise<void>, { code: 'FST_RT_INVALID_ARGUMENT', statusCode: 400 } as never)
  for (const call of ['subscribe', 'unsubscribe'] as const) {
    await t.rejects(realtime[call](ann, ''), { code: 'FST_RT_INVALID_CHANNEL' })
  }
  await realtime.publish('news', 1)
  t.strictSame(await client.next(), { channel: 'news', data: 1 }, 'and nothing has happened')
  await realtime.disconnect(ann, { code: 4999, reason: 'é'.repeat(62) })
  t.strictSame(await client.closed(), { code: 4999, reason: 'é'.repeat(61) }, 'a reason is cut where it is too long')
})

t.test('ready until the drain', async (t) => {
  const { app } = await buildApp(t, { drain: { window: 0, timeout: 100 } })
  await app.ready()
  t.equal(app.realtime.ready(), true)
  t.match(await app.realtime.drain(), { closed: 0, terminated: 0 })
  t.equal(app.realtime.draining, true)
  t.equal(app.realtime.ready(), false)
})

t.test('what is kept of a channel, and who is on it', async (t) => {
  const rig = await sessionRig(t)
  rig.channel('room', { history: true, presenceTtl: 30_000, onSubscribe: () => ({ info: 'seat 1' }) })
  const realtime = new Realtime({ broker: rig.broker, hub: rig.hub } as unknown as RealtimeParts)
  for (const [sub, info] of [['ada', { nick: 'A' }] as const, ['bob', undefined] as const]) {
    const client = await rig.client({ user: { sub, ...(info && { info }) } })
    await client.call({ subscribe: { channel: 'room' } })
  }
  t.strictSame(await realtime.presence('room'), [
    { connection: 'c1', user: 'ada', connectionInfo: { nick: 'A' }, channelInfo: 'seat 1' },
    { connection: 'c2', user: 'bob', connectionInfo: undefined, channelInfo: 'seat 1' }
  ])
  t.strictSame(await realtime.presenceStats('room'), { connections: 2, users: 2 })

  const { epoch } = await realtime.publish('room', { n: 1 })
  for (let n = 2; n <= 3; n++) await realtime.publish('room', { n })
  const kept = [1, 2, 3].map((n) => ({ data: { n }, offset: n }))
  t.strictSame(await realtime.history('room'), { publications: kept, offset: 3, epoch })
  t.strictSame(await realtime.history('room', { limit: 0 }), { publications: [], offset: 3, epoch })
  const since = { offset: 1, epoch }
  t.strictSame((await realtime.history('room', { since, limit: 1 })).publications, kept.slice(1, 2))
  t.strictSame((await realtime.history('room', { reverse: true })).publications, kept.toReversed())
  await realtime.removeHistory('room')
  t.match(await realtime.history('room'), { publications: [], offset: 0 })
  t.not((await realtime.history('room')).epoch, epoch)
  for (const call of ['history', 'presence', 'presenceStats', 'removeHistory'] as const) {
    await t.rejects(realtime[call]('\u0000') as Promise<unknown>, { code: 'FST_RT_INVALID_CHANNEL' } as never)
  }
})
