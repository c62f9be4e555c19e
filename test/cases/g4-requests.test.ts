import { Cluster } from 'ioredis'
import { Registry } from 'prom-client'
import t, { type Test } from 'tap'
import { RedisKeys } from '../../lib/broker/redis/keys.ts'
import { redisSlot } from '../../lib/broker/redis/slot.ts'
import { CONTROL_CHANNEL } from '../../lib/node/control.ts'
import type { RealtimeOptions } from '../../lib/options/options.ts'
import { testToken } from '../../lib/testing/index.ts'
import { freshPrefix, openRedisBroker } from '../broker/redis/bench.ts'
import { type atLeast, buildApp } from '../support/app.ts'
import { connect } from '../support/connect.ts'
import { RedisServer, startCluster, until } from '../support/redis-server.ts'
import { TcpProxy } from '../support/tcp-proxy.ts'

/* Requests that nodes make of one another, over a real Redis. */

// No server listens on this port.
const NOBODY = 1
const server = await RedisServer.start(t)

async function makeNode(t: Test, options: RealtimeOptions) {
  const built = await buildApp(t, { redis: server.url, ...options })
  built.app.ws('/open', async (socket) => {
    socket.sendJson('ready')
    for await (const message of socket.messages()) socket.sendJson({ echo: message })
  })
  const open = async (sub: string) => {
    const client = await connect(built.app, '/open', { token: testToken({ sub }) })
    t.equal(await client.next(), 'ready')
    return client
  }
  return { ...built, open }
}

const linesOf = (logs: Parameters<typeof atLeast>[0], text: string) => logs.filter(({ msg }) => msg?.includes(text))

t.test('case 130: strangers on the control channel are dropped and counted', async (t) => {
  const prefix = freshPrefix()
  const metrics = new Registry()
  const { app, logs, open } = await makeNode(t, { prefix, metrics })
  const client = await open('ada')
  const keys = new RedisKeys(prefix, 0)
  const { position } = await historyOf(keys)
  const strange = ['receive', 'push', 'ended', 'constructor', 7, undefined].map((name) =>
    JSON.stringify({ v: 1, node: 'evil', id: 'e', target: { user: 'ada' }, do: name, channel: '{"id":1}' })
  )
  strange.push('{}', 'null', '"ping"')
  for (const [n, text] of strange.entries()) {
    await server.admin.publish(keys.channel(CONTROL_CHANNEL).topic, `1p${n + 1},${position.epoch},1:${text}`)
  }
  client.send('fine')
  t.strictSame(await client.next(), { echo: 'fine' })
  const counted = `realtime_node_messages_dropped_total{kind="request"} ${strange.length}\n`
  await until(async () => (await metrics.metrics()).includes(counted))
  t.match(linesOf(logs, 'message between nodes dropped'), [{ level: 40, kind: 'request', times: 1 }])
  // What is not in the history is no request either, and does not keep the node from those that are.
  await app.realtime.disconnect({ user: 'nobody' })
  client.send('still fine')
  t.strictSame(await client.next(), { echo: 'still fine' })
})

async function historyOf(keys: RedisKeys) {
  const epoch = (await server.admin.hget(keys.channel(CONTROL_CHANNEL).meta, 'epoch')) as string
  return { position: { epoch } }
}

t.test('case 147: the control channel answers an error while a node starts', async (t) => {
  const prefix = freshPrefix()
  const keys = new RedisKeys(prefix, 0)
  await server.admin.set(keys.channel(CONTROL_CHANNEL).meta, 'no hash')
  const { app, logs, open } = await makeNode(t, { prefix })
  await app.ready()
  t.equal(app.realtime.ready(), false)
  const client = await open('ada')
  await until(() => linesOf(logs, 'requests of other nodes cannot be read').length > 0)
  t.equal(app.realtime.ready(), false)
  await server.admin.del(keys.channel(CONTROL_CHANNEL).meta)
  await until(() => app.realtime.ready())
  t.equal(linesOf(logs, 'requests of other nodes cannot be read').length, 1)
  t.equal(linesOf(logs, 'requests of other nodes can be read').length, 1)
  const other = await makeNode(t, { prefix })
  await other.app.realtime.disconnect({ user: 'ada' }, { code: 4401 })
  t.match(await client.closed(), { code: 4401 })
})

t.test('case 147: Redis takes no writes while a node starts', async (t) => {
  const prefix = freshPrefix()
  const alone = await RedisServer.start(t, { 'min-replicas-to-write': 1 })
  const { app, logs, open } = await makeNode(t, { prefix, redis: alone.url })
  await app.ready()
  t.equal(app.realtime.ready(), false)
  const client = await open('ada')
  t.match(linesOf(logs, 'broker is away'), [{ level: 40, err: { message: /NOREPLICAS/ } }])
  await alone.admin.config('SET', 'min-replicas-to-write', 0)
  await until(() => app.realtime.ready())
  const other = await makeNode(t, { prefix, redis: alone.url })
  await other.app.realtime.disconnect({ user: 'ada' }, { code: 4401 })
  t.match(await client.closed(), { code: 4401 })
})

t.test('case 147: the shard of the control channel is stopped while a node starts', async (t) => {
  const prefix = freshPrefix()
  const nodes = await startCluster(t)
  const slot = redisSlot(new RedisKeys(prefix, 0).topic(CONTROL_CHANNEL))
  const shard = nodes[Math.floor((slot * nodes.length) / 16_384)] as RedisServer
  // The seeds are the other two, so that the cluster is found without it.
  const cluster = () => {
    const seeds = nodes.filter((node) => node !== shard).map(({ port }) => ({ host: '127.0.0.1', port }))
    const client = new Cluster(seeds, { lazyConnect: true, shardedSubscribers: true })
    t.teardown(() => client.disconnect())
    return client
  }
  shard.stop()
  const { app, logs, open } = await makeNode(t, { prefix, redis: cluster() })
  await app.ready()
  t.equal(app.realtime.ready(), false)
  const client = await open('ada')
  await until(() => linesOf(logs, 'broker is away').length + linesOf(logs, 'cannot be read').length > 0)
  t.equal(app.realtime.ready(), false)
  shard.continue()
  await until(() => app.realtime.ready())
  const other = await makeNode(t, { prefix, redis: cluster() })
  await other.app.realtime.disconnect({ user: 'ada' }, { code: 4401 })
  t.match(await client.closed(), { code: 4401 })
})

t.test('case 153: a node that was cut off obeys for those that were there when it was asked', async (t) => {
  const prefix = freshPrefix()
  const proxy = await TcpProxy.start(t, server.port)
  const cutOff = await makeNode(t, { prefix, redis: proxy.url })
  const other = await makeNode(t, { prefix })
  const before = await cutOff.open('ada')
  await other.app.ready()
  proxy.redirect(NOBODY)
  await until(() => !cutOff.app.realtime.ready())
  const meanwhile = await cutOff.open('ada')
  await other.app.realtime.disconnect({ user: 'ada' }, { code: 4001 })
  // Redis says by its own clock how old a request is, in whole milliseconds.
  const [seconds, micros] = (await server.admin.time()).map(Number) as [number, number]
  await until(async () => {
    const [later, more] = (await server.admin.time()).map(Number) as [number, number]
    return (later - seconds) * 1000 + (more - micros) / 1000 > 100
  })
  const after = await cutOff.open('ada')
  proxy.redirect(server.port)
  for (const client of [before, meanwhile]) t.match(await client.closed(), { code: 4001 })
  await until(() => cutOff.app.realtime.ready())
  after.send('still here')
  t.strictSame(await after.next(), { echo: 'still here' })
  t.strictSame(linesOf(cutOff.logs, 'may be missing'), [])
})

t.test('case 153: a Redis that lost its data meanwhile', async (t) => {
  const prefix = freshPrefix()
  const keys = new RedisKeys(prefix, 0)
  const proxy = await TcpProxy.start(t, server.port)
  const { app, logs } = await makeNode(t, { prefix, redis: proxy.url })
  await app.ready()
  const before = Date.now()
  proxy.redirect(NOBODY)
  await until(() => !app.realtime.ready())
  await server.admin.del(keys.channel(CONTROL_CHANNEL).meta, keys.channel(CONTROL_CHANNEL).stream)
  proxy.redirect(server.port)
  await until(() => app.realtime.ready())
  const lines = linesOf(logs, 'requests of other nodes may be missing')
  t.equal(lines.length, 1)
  t.ok(new Date(lines[0]?.since as string).getTime() <= before + 1_000)
})

t.test('case 153: a lease ends in time though Redis’s clock was set back by an hour', async (t) => {
  const prefix = freshPrefix()
  const { broker } = await openRedisBroker(t, { redis: server.url, prefix })
  const ttl = 200
  t.equal(await broker.acquireLease('user:ada', 'dead', 1, ttl), true)
  await setBack(new RedisKeys(prefix, 0).lease('user:ada'))
  t.equal(await broker.acquireLease('user:ada', 'next', 1, ttl), false)
  await until(() => broker.acquireLease('user:ada', 'next', 1, ttl))
})

t.test('case 153: presence ends in time, and not before, though Redis’s clock was set back by an hour', async (t) => {
  const prefix = freshPrefix()
  const { broker } = await openRedisBroker(t, { redis: server.url, prefix })
  const entry = (connection: string) => ({ connection, user: connection, info: Buffer.from('{}') })
  const [set] = new RedisKeys(prefix, 0).presence('room')
  const present = async () => (await broker.presence('room')).map(({ connection }) => connection)
  await broker.addPresence('room', entry('alive'), 60_000)
  await broker.addPresence('room', entry('dead'), 300)
  await setBack(set)
  // Nobody is added: the list and the counts find it out too.
  await until(async () => (await broker.presenceStats('room')).connections === 1)
  t.strictSame(await present(), ['alive'])
  await broker.addPresence('room', entry('dead'), 300)
  await setBack(set)
  await until(async () => (await present()).length === 1)
  await broker.addPresence('room', entry('dead'), 300)
  await setBack(set)
  await until(async () => {
    await broker.addPresence('room', entry('third'), 60_000)
    return (await server.admin.zscore(set, 'dead')) === null
  })
  t.strictSame((await present()).sort(), ['alive', 'third'])
  const [seconds] = (await server.admin.time()).map(Number) as [number, number]
  const ends = Number(await server.admin.zscore(set, 'alive')) / 1000 - seconds
  t.ok(ends > 0 && ends <= 61, 'those that live have what they had left')
})

/** To Redis this is what a clock that was set back by an hour looks like: all that it wrote down is in the future. */
async function setBack(set: string): Promise<void> {
  const scores = await server.admin.zrange(set, 0, '+inf', 'BYSCORE', 'WITHSCORES')
  t.ok(scores.length > 0)
  for (let at = 0; at < scores.length; at += 2) await server.admin.zincrby(set, 3_600_000, scores[at] as string)
  await server.admin.zincrby(set, -3_600_000, '')
}
