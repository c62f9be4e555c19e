import t from 'tap'
import { createPublisher } from '../lib/publisher.ts'
import { connect } from '../lib/testing/index.ts'
import { buildApp } from './support/app.ts'
import { RedisServer } from './support/redis-server.ts'

t.test('a worker publishes to the sockets of a server', async (t) => {
  const redis = await RedisServer.start(t)
  const { app } = await buildApp(t, { redis: redis.url, prefix: 'app', auth: false })
  const history = { size: 10, ttl: 60_000 }
  app.channel('boards/:board', { history })
  app.ws('/', async (socket) => {
    socket.sendJson(await socket.subscribe('boards/a'))
    for await (const _ of socket.messages());
  })
  const client = await connect(app, '/')
  const { epoch } = await client.next<{ epoch: string }>()
  const publisher = await createPublisher({
    redis: redis.url,
    prefix: 'app',
    history: (channel) => (channel.startsWith('boards/') ? history : undefined)
  })
  t.teardown(() => publisher.close())
  t.strictSame(await publisher.publish('boards/a', { x: 1 }, { idempotencyKey: 'k' }), { offset: 1, epoch })
  t.strictSame(await publisher.publish('boards/a', { x: 1 }, { idempotencyKey: 'k' }), { offset: 1, epoch })
  t.strictSame(await client.next(), { channel: 'boards/a', data: { x: 1 }, offset: 1, epoch })
  t.strictSame(await publisher.publish('plain', 1), { offset: 0, epoch: '' })
  await client.expectNothing()
  await t.rejects(publisher.publish('', 1), { code: 'FST_RT_INVALID_CHANNEL' })
  await t.rejects(publisher.publish('a', 1n), { code: 'FST_RT_INVALID_DATA' })
  for (const idempotencyKey of ['', null as never]) {
    const published = publisher.publish('boards/a', 2, { idempotencyKey })
    await t.rejects(published, { code: 'FST_RT_INVALID_IDEMPOTENCY_KEY' })
  }
})

t.test('without Redis there is nothing to publish to', async (t) => {
  await t.rejects(createPublisher({} as never), { code: 'FST_RT_INVALID_OPTION' })
  await t.rejects(createPublisher({ redis: 'http://localhost' }), { code: 'FST_RT_INVALID_OPTION' })
})

t.test('a Redis that refuses us for good is an error, not a wait', async (t) => {
  const redis = await RedisServer.start(t, { requirepass: 'secret' })
  await t.rejects(createPublisher({ redis: redis.url }), { code: 'FST_RT_BROKER' })
})
