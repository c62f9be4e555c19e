import t from 'tap'
import { createPublisher } from '../../lib/publisher.ts'
import { testToken } from '../../lib/testing/index.ts'
import { freshPrefix } from '../broker/redis/bench.ts'
import { atLeast, buildApp } from '../support/app.ts'
import { connect } from '../support/connect.ts'
import { pending } from '../support/pending.ts'
import { RedisServer, until } from '../support/redis-server.ts'
import { Speaker } from '../support/speaker.ts'

t.test('case 156: subscribed and unsubscribed while a command of the channel runs', async (t) => {
  const { app } = await buildApp(t)
  const publishing = pending<void>()
  const begun = pending<void>()
  app.channel('news', {
    publishers: 'clients',
    onPublish: async () => {
      begun.resolve()
      await publishing.promise
    }
  } as never)
  const client = await Speaker.open(app, { token: testToken({ sub: 'ada' }) })
  client.send({ id: 9, publish: { channel: 'news', data: 1 } })
  await begun.promise
  await app.realtime.subscribe({ user: 'ada' }, 'news')
  await app.realtime.unsubscribe({ user: 'ada' }, 'news')
  publishing.resolve()
  t.match(await client.next(), { id: 9, publish: {} })
  client.send({ id: 10, publish: { channel: 'news', data: 2 } })
  t.match(await client.next(), { id: 10, publish: {} }, 'no push in between')
  t.strictSame(app.realtime.connections()[0]?.subscriptions, [])
  // And the other way round.
  await app.realtime.unsubscribe({ user: 'ada' }, 'news')
  await app.realtime.subscribe({ user: 'ada' }, 'news')
  await app.realtime.subscribe({ user: 'ada' }, 'news')
  t.match(await client.next(), { push: { channel: 'news', subscribe: {} } })
  t.strictSame(app.realtime.connections()[0]?.subscriptions, ['news'])
})

t.test('case 158: a connect that is under way when the turn of its connection comes in a drain', async (t) => {
  const connecting = pending<void>()
  const asked = pending<void>()
  const { app } = await buildApp(t, {
    drain: { window: 0 },
    channels: {
      onConnect: async () => {
        asked.resolve()
        await connecting.promise
      }
    }
  })
  let begun = 0
  app.rpc('count', () => ++begun)
  app.channel('news', {})
  const client = await connect(app, '/connection/websocket', { token: testToken({ sub: 'ada' }) })
  client.send({ id: 1, connect: {} })
  client.send({ id: 2, rpc: { method: 'count' } })
  await asked.promise
  const silent = await connect(app, '/connection/websocket', { token: testToken({ sub: 'ada' }) })
  const drained = app.realtime.drain()
  client.send({ id: 3, rpc: { method: 'count' } })
  silent.send({ id: 1, connect: {} })
  await app.realtime.subscribe({ user: 'ada' }, 'news')
  t.match(await silent.closed(), { code: 3001 })
  connecting.resolve()
  t.match(await client.next(), { id: 1, connect: {} })
  t.match(await client.closed(), { code: 3001 })
  await drained
  t.equal(begun, 0)
})

t.test('case 158: until its turn comes a connection goes on as before, also if it connects meanwhile', async (t) => {
  const connecting = pending<void>()
  const asked = pending<void>()
  const { app } = await buildApp(t, {
    drain: { delay: 2_000, window: 0 },
    channels: {
      onConnect: async () => {
        asked.resolve()
        await connecting.promise
      }
    }
  })
  let begun = 0
  app.rpc('count', () => ++begun)
  app.channel('news', {})
  const client = await Speaker.open(app, { token: testToken({ sub: 'ada' }), connect: false })
  client.send({ id: 1, connect: {} }, { id: 2, rpc: { method: 'count' } })
  await asked.promise
  const drained = app.realtime.drain()
  await app.realtime.subscribe({ user: 'ada' }, 'news')
  client.send({ id: 3, rpc: { method: 'count' } })
  connecting.resolve()
  t.match(await client.next(), { id: 1, connect: {} })
  const answers = [await client.next(), await client.next(), await client.next()].map(({ id }) => id ?? 'push')
  t.strictSame(answers.sort(), [2, 3, 'push'], 'what waited for it, and what came since the drain began')
  t.match(await client.closed(), { code: 3001 })
  t.match(await drained, { closed: 1, terminated: 0 })
  t.equal(begun, 2)
})

t.test('case 163: a handler that cannot subscribe because Redis is away', async (t) => {
  const server = await RedisServer.start(t)
  const { app, logs } = await buildApp(t, { auth: false, redis: server.url, prefix: freshPrefix() })
  app.ws('/news', async (socket) => {
    await socket.subscribe('news')
  })
  await app.ready()
  await server.kill()
  await until(() => !app.realtime.ready())
  const client = await connect(app, '/news')
  t.match(await client.next(), { error: { code: 'unavailable' } })
  t.match(await client.closed(), { code: 1013 })
  t.strictSame(atLeast(logs, 'error'), [])
})

t.test('case 155: a publisher without the policy is logged, once', async (t) => {
  const redis = (await RedisServer.start(t)).url
  const { app, logs } = await buildApp(t, { auth: false, redis })
  app.channel('news', { history: { size: 10, ttl: 60_000 } })
  app.ws('/news', async (socket) => {
    await socket.subscribe('news')
    socket.sendJson('ready')
    for await (const message of socket.messages()) socket.sendJson({ echo: message })
  })
  const client = await connect(app, '/news')
  t.equal(await client.next(), 'ready')
  const publisher = await createPublisher({ redis })
  t.teardown(() => publisher.close())
  for (const n of [1, 2, 3]) await publisher.publish('news', n)
  for (const n of [1, 2, 3]) t.strictSame(await client.next(), { channel: 'news', data: n })
  t.match(
    logs.filter(({ msg }) => msg?.startsWith('publication without a position')),
    [{ level: 40, channel: 'news' }]
  )
  t.equal(logs.filter(({ msg }) => msg?.startsWith('publication without a position')).length, 1)
})
