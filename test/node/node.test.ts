import { Cluster } from 'ioredis'
import { Registry } from 'prom-client'
import t from 'tap'
import { RedisKeys } from '../../lib/broker/redis/keys.ts'
import { redisSlot } from '../../lib/broker/redis/slot.ts'
import { Liveness } from '../../lib/connection/liveness.ts'
import { LEASE } from '../../lib/handshake/places.ts'
import { Hub } from '../../lib/hub/hub.ts'
import { CONTROL_CHANNEL } from '../../lib/node/control.ts'
import { insightOf } from '../../lib/node/insight.ts'
import type { Node } from '../../lib/node/node.ts'
import { connect, testToken } from '../../lib/testing/index.ts'
import { freshPrefix } from '../broker/redis/bench.ts'
import { atLeast, buildApp } from '../support/app.ts'
import { pending } from '../support/pending.ts'
import { RedisServer, startCluster, until } from '../support/redis-server.ts'
import { Speaker } from '../support/speaker.ts'

t.test('a Redis that comes late, and refuses for good, is an error in the log', async (t) => {
  const redis = await RedisServer.start(t, { requirepass: 'secret' })
  await redis.kill()
  const { app, logs } = await buildApp(t, { redis: redis.url, auth: false })
  await app.ready()
  t.equal(app.realtime.ready(), false)
  t.match(atLeast(logs, 'warn'), [{ msg: 'broker is away' }])
  await redis.restart()
  await until(() => atLeast(logs, 'error').length > 0)
  t.match(atLeast(logs, 'error'), [{ msg: 'broker cannot be used' }])
  t.notOk(JSON.stringify(logs).includes('secret'))
})

t.test('a Redis that goes away and comes back is said once each time', async (t) => {
  const redis = await RedisServer.start(t)
  const { app, logs } = await buildApp(t, { redis: redis.url, auth: false })
  await app.ready()
  t.equal(app.realtime.ready(), true)
  // What was under way just then may have failed, and is said too.
  const said = () => atLeast(logs, 'warn').flatMap(({ msg }) => (msg?.startsWith('broker is') ? msg : []))
  await redis.kill()
  await until(() => said().length > 0)
  t.equal(app.realtime.ready(), false)
  await redis.restart()
  await until(() => app.realtime.ready())
  t.same(said(), ['broker is away', 'broker is back'])
})

t.test('case 161: a password that stops working is named in the log, and does not stand there', async (t) => {
  const redis = await RedisServer.start(t)
  const user = (password: string) =>
    redis.admin.call('ACL', 'SETUSER', 'app', 'reset', 'on', `>${password}`, '~*', '&*', '+@all')
  await user('first-password')
  const url = redis.url.replace('redis://', 'redis://app:first-password@')
  const { app, logs } = await buildApp(t, { redis: url, auth: false })
  await app.ready()
  t.equal(app.realtime.ready(), true)
  // Redis ends the connections of a user whose password is another now, and the node comes back with the old one.
  await user('second-password')
  await redis.admin.call('CLIENT', 'KILL', 'USER', 'app')
  await until(() => atLeast(logs, 'error').length > 0)
  t.equal(app.realtime.ready(), false)
  await user('first-password')
  await until(() => app.realtime.ready())
  t.match(atLeast(logs, 'error'), [{ msg: 'broker refuses this node' }])
  t.equal(atLeast(logs, 'error').length, 1, 'once, however often it was tried')
  t.notMatch(JSON.stringify(logs), /(first|second)-password/)
})

t.test('case 151: one master of a cluster is away', async (t) => {
  const nodes = await startCluster(t, { 'cluster-require-full-coverage': 'no' })
  const cluster = new Cluster(
    nodes.map(({ port }) => ({ host: '127.0.0.1', port })),
    { lazyConnect: true, shardedSubscribers: true }
  )
  t.teardown(() => cluster.disconnect())
  const metrics = new Registry()
  const { app, logs } = await buildApp(t, { redis: cluster, auth: false, metrics })
  await app.ready()
  const keys = new RedisKeys('realtime')
  const ownerOf = (channel: string) =>
    nodes[Math.floor((redisSlot(keys.channel(channel).topic) * nodes.length) / 16_384)] as RedisServer
  const carrier = ownerOf(CONTROL_CHANNEL)
  const [dead, living] = nodes.filter((node) => node !== carrier) as [RedisServer, RedisServer]
  const roomOf = (node: RedisServer) =>
    Array.from({ length: 100 }, (_, n) => `room${n}`).find((room) => ownerOf(room) === node) as string
  const lines = () => logs.filter(({ msg }) => msg?.startsWith('broker ')).map(({ msg, shard }) => `${msg} ${shard}`)
  const figure = async (node: RedisServer) =>
    (await metrics.metrics()).includes(`realtime_broker_shard_up{shard="127.0.0.1:${node.port}"} 1`)
  let wasReady = app.realtime.ready()
  t.equal(wasReady, true)
  const watch = setInterval(() => {
    wasReady &&= app.realtime.ready()
  }, 1)
  t.teardown(() => clearInterval(watch))

  await dead.kill()
  await until(() => lines().length > 0)
  t.strictSame(lines(), [`broker shard is away 127.0.0.1:${dead.port}`])
  t.strictSame(await Promise.all([dead, living, carrier].map(figure)), [false, true, true])
  // One that was sent in the moment of its death is an unknown outcome.
  await until(async () => {
    const { code } = await app.realtime.publish(roomOf(dead), 1).catch((error) => error)
    return code === 'FST_RT_UNAVAILABLE'
  })
  await t.rejects(app.realtime.publish(roomOf(dead), 1), { code: 'FST_RT_UNAVAILABLE' })
  await app.realtime.publish(roomOf(living), 1)
  await dead.restart()
  await until(() => lines().length > 1)
  t.strictSame(lines()[1], `broker shard is back 127.0.0.1:${dead.port}`)
  t.equal(await figure(dead), true)
  await app.realtime.publish(roomOf(dead), 1)
  t.equal(wasReady, true, 'all the time')
  clearInterval(watch)

  await carrier.kill()
  await until(() => lines().length > 2 && !app.realtime.ready())
  t.strictSame(lines()[2], `broker shard is away 127.0.0.1:${carrier.port}`)
  await app.realtime.publish(roomOf(living), 1)
  await carrier.restart()
  await until(() => app.realtime.ready() && lines().length > 3)
})

t.test('who comes and goes is told to the clients of a channel that ask for it', async (t) => {
  const { app } = await buildApp(t, { auth: false })
  app.channel('room', { onSubscribe: true, joinLeave: true })
  const [watcher, other] = [await Speaker.open(app, { memory: true }), await Speaker.open(app, { memory: true })]
  await watcher.call({ subscribe: { channel: 'room', join_leave: true } })
  t.match(await watcher.next(), { push: { channel: 'room', join: {} } })
  await other.call({ subscribe: { channel: 'room' } })
  t.match(await watcher.next(), { push: { channel: 'room', join: {} } })
  await other.socket.close(1000)
  t.match(await watcher.next(), { push: { channel: 'room', leave: {} } })
})

t.test('an end that comes before a Redis that is away is no error', async (t) => {
  const redis = await RedisServer.start(t)
  await redis.kill()
  const { app, logs } = await buildApp(t, { redis: redis.url, auth: false })
  await app.ready()
  await app.close()
  t.strictSame(atLeast(logs, 'error'), [])
})

t.test('while Redis is away that is said once, whatever fails for it', async (t) => {
  const redis = await RedisServer.start(t)
  const { app, logs } = await buildApp(t, { redis: redis.url, auth: false, prefix: freshPrefix() })
  app.channel('room', { onSubscribe: true, presence: true, joinLeave: true })
  const clients = await Promise.all(Array.from({ length: 20 }, () => Speaker.open(app, { memory: true })))
  for (const client of clients) {
    client.send({ id: 1, subscribe: { channel: 'room' } })
    while (!(await client.nextText()).includes('"subscribe"'));
  }
  await redis.kill()
  await until(() => !app.realtime.ready())
  for (const client of clients) await client.socket.close()
  await app.close()
  t.match(atLeast(logs, 'warn'), [{ msg: 'broker is away' }])
  t.equal(atLeast(logs, 'warn').length, 1)
})

t.test('what else fails at the broker is said each time', async (t) => {
  const redis = await RedisServer.start(t)
  const prefix = freshPrefix()
  const { app, logs } = await buildApp(t, { redis: redis.url, auth: false, prefix })
  app.channel('room', { onSubscribe: true, presence: true })
  const client = await Speaker.open(app, { memory: true })
  await client.call({ subscribe: { channel: 'room' } })
  // Another's key in the place of ours.
  for (const key of await redis.admin.keys(`${prefix}*presence`)) await redis.admin.set(key, 'something else')
  await client.socket.close()
  await app.close()
  t.match(atLeast(logs, 'warn'), [{ msg: 'broker failed', stage: 'presence', err: { code: 'FST_RT_BROKER' } }])
})

t.test(
  'case 129: an error in what the broker calls is logged, a line a minute, and the others are served',
  async (t) => {
    const { app, logs } = await buildApp(t, { auth: false })
    app.ws('/news', async (socket) => {
      await socket.subscribe('news')
      socket.sendJson('ready')
      for await (const message of socket.messages()) await socket.publish('news', message)
    })
    const client = await connect(app, '/news')
    t.equal(await client.next(), 'ready')
    const { receive } = Hub.prototype
    t.teardown(() => {
      Hub.prototype.receive = receive
    })
    Hub.prototype.receive = () => {
      throw new Error('a hub')
    }
    for (const n of [1, 2, 3]) await app.realtime.publish('news', n)
    Hub.prototype.receive = receive
    client.send(4)
    t.strictSame(await client.next(), { channel: 'news', data: 4 })
    t.match(atLeast(logs, 'warn'), [{ level: 50, msg: 'unexpected failure', stage: 'broker listener', times: 1 }])
    t.equal(atLeast(logs, 'warn').length, 1)
  }
)

t.test('case 129: an error in a deadline or a metric is logged, and the others are served', async (t) => {
  const metrics = new Registry()
  const { app, logs } = await buildApp(t, { auth: false, metrics, heartbeat: { interval: 50, timeout: 50 } })
  app.ws('/echo', async (socket) => {
    for await (const message of socket.messages()) socket.sendJson(message)
  })
  const client = await connect(app, '/echo')
  const { onDue } = Liveness.prototype
  const channels = Object.getOwnPropertyDescriptor(Hub.prototype, 'channels') as PropertyDescriptor
  const mend = () => {
    Liveness.prototype.onDue = onDue
    Object.defineProperty(Hub.prototype, 'channels', channels)
  }
  t.teardown(mend)
  const failing = () => {
    throw new Error('by a test')
  }
  Liveness.prototype.onDue = failing
  Object.defineProperty(Hub.prototype, 'channels', { ...channels, get: failing })
  const stages = () => atLeast(logs, 'error').map(({ msg, stage }) => `${msg}: ${stage}`)
  await until(() => stages().length > 0)
  t.match(await metrics.metrics(), 'realtime_connections', 'the other metrics are there')
  mend()
  t.strictSame(stages(), ['unexpected failure: deadline', 'unexpected failure: metrics'])
  const other = await connect(app, '/echo')
  for (const one of [client, other]) {
    one.send(1)
    t.equal(await one.next(), 1)
  }
})

t.test('case 162: a connection whose place is another’s is closed, open or not', async (t) => {
  const { ttl } = LEASE
  LEASE.ttl = 600
  t.teardown(() => {
    LEASE.ttl = ttl
  })
  const redis = await RedisServer.start(t)
  const prefix = freshPrefix()
  const { app } = await buildApp(t, { redis: redis.url, prefix, limits: { connections: { perUser: 1 } } })
  app.ws('/open', async (socket) => {
    for await (const _ of socket.messages());
  })
  const entered = pending()
  const never = pending()
  const preHandler = async () => {
    entered.resolve()
    await never.promise
  }
  app.ws('/hook', { preHandler }, async () => undefined)
  await app.ready()
  const give = async (sub: string) => {
    const key = new RedisKeys(prefix, 0).lease(`user:${sub}`)
    const [seconds] = await redis.admin.time()
    // In one step, or the connection would have its place back.
    await redis.admin
      .multi()
      .del(key)
      .zadd(key, (Number(seconds) + 600) * 1_000, 'another')
      .exec()
  }
  const client = await connect(app, '/open', { token: testToken({ sub: 'ada' }) })
  await give('ada')
  t.strictSame(await client.closed(), { code: 4409, reason: 'too many connections' })
  const attempt = connect(app, '/hook', { token: testToken({ sub: 'bob' }) })
  const failed = t.rejects(attempt)
  await entered.promise
  await give('bob')
  await failed
  never.resolve()
})

t.test('a private channel has a listener of its own; other publications are counted on demand', async (t) => {
  const { app } = await buildApp(t, { auth: false })
  await app.ready()
  const node = insightOf(app.realtime)?.node as Node
  const heard: string[] = []
  for (const channel of ['\u0000test', '\u0000nobody', 'news']) await node.broker.subscribe(channel)
  node.listeners.set('\u0000test', ({ data }) => void heard.push(String(data)))
  await node.broker.publish('\u0000test', Buffer.from('1'))
  await node.broker.publish('\u0000nobody', Buffer.from('2'))
  await node.broker.publish('news', Buffer.from('3'))
  node.onPublication = (channel) => void heard.push(channel)
  await node.broker.publish('news', Buffer.from('4'))
  t.same(heard, ['1', 'news'])
})
