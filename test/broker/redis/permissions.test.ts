import { readFileSync } from 'node:fs'
import { Cluster, Redis } from 'ioredis'
import t, { type Test } from 'tap'
import type { RedisBrokerOptions } from '../../../lib/broker/redis/options.ts'
import { reachableName } from '../../../lib/broker/redis/permissions.ts'
import { RedisServer, startCluster, until } from '../../support/redis-server.ts'
import { bytes, dataOf, makeRedisBroker } from './bench.ts'

const KEEP = { size: 10, ttl: 60_000 }
const page = readFileSync(new URL('../../../docs/operations.md', import.meta.url), 'utf8')
/** The lines of the page as it prints them: a server's, a publisher's, a server's in a cluster. */
const lines = Array.from(page.matchAll(/^```acl\nACL (SETUSER .*)\n```$/gm), ([, line = '']) => line.split(' '))
const [serving, publishing, clustered] = lines as [string[], string[], string[]]
const permissionsOf = (line: readonly string[]) => line.filter((word) => word.startsWith('+'))

/** A broker of that user, which does all that a broker does. */
async function tryAll(t: Test, redis: RedisBrokerOptions['redis'], listens = true): Promise<void> {
  const { broker, heard } = makeRedisBroker(t, { redis, prefix: 'realtime', times: { probeInterval: 50 } })
  await broker.start(listens ? heard : undefined)
  const options = { history: KEEP, idempotencyKey: 'k' }
  const room = `room ${Math.random()}`
  if (listens) await broker.subscribe(room)
  const first = await broker.publish(room, bytes(1), options)
  t.strictSame(await broker.publish(room, bytes(1), options), { ...first, duplicate: true })
  await broker.publish(room, bytes(2))
  const keep = { size: 10, ttl: 60_000, maxBytes: 1_024 }
  for (let n = 0; n < 3; n++) await broker.publish(`${room} large`, bytes(`"${'x'.repeat(600)}"`), { history: keep })
  if (listens) {
    await heard.until(() => heard.data(room).length === 2)
    t.strictSame(dataOf(await broker.history(room, { limit: 10 })), ['1'])
    await broker.addPresence(room, { connection: 'c', user: 'u', info: bytes('{}') }, 10_000)
    t.equal((await broker.presence(room)).length, 1)
    t.equal((await broker.presenceStats(room)).users, 1)
    await broker.removePresence(room, 'c')
    await broker.acquireLease(room, 'h', 1, 10_000)
    await broker.releaseLease(room, 'h')
    await broker.takeTokens(room, 1, { rate: 1, burst: 1 })
    await broker.publishPresence(room, 'join', bytes('{}'))
    await broker.removeHistory(room)
    await broker.unsubscribe(room)
    t.strictSame(heard.states, [true])
  }
  await broker.close()
}

t.test('case 160: the users of the docs, on one server', async (t) => {
  const server = await RedisServer.start(t)
  const url = (user: string) => `redis://${user}:password@127.0.0.1:${server.port}`
  for (const line of [serving, publishing]) await server.admin.call('ACL', ...line)
  await tryAll(t, url('realtime'))
  await tryAll(t, url('publisher'), false)

  for (const [line, listens] of [
    [serving, true],
    [publishing, false]
  ] as const) {
    for (const permission of permissionsOf(line)) {
      const name = permission.slice(1)
      await server.admin.call('ACL', 'SETUSER', 'less', ...line.slice(2), `-${name}`)
      const { broker, heard } = makeRedisBroker(t, { redis: url('less'), prefix: 'realtime' })
      const message = `The broker refused: NOPERM (this user lacks a permission: ${name})`
      await t.rejects(broker.start(listens ? heard : undefined), { code: 'FST_RT_BROKER', message }, permission)
    }
    for (const [names, word] of [
      ['resetkeys', 'keys'],
      ['resetchannels', 'channels']
    ] as const) {
      await server.admin.call('ACL', 'SETUSER', 'less', ...line.slice(2), names)
      const { broker, heard } = makeRedisBroker(t, { redis: url('less'), prefix: 'realtime' })
      const message = new RegExp(`lacks a permission: ${word}`)
      await t.rejects(broker.start(listens ? heard : undefined), { code: 'FST_RT_BROKER', message } as never, names)
    }
  }
})

t.test('case 160: a publisher has one connection, and may not subscribe', async (t) => {
  const server = await RedisServer.start(t)
  await server.admin.call('ACL', ...publishing)
  const { broker } = makeRedisBroker(t, {
    redis: `redis://publisher:password@127.0.0.1:${server.port}`,
    prefix: 'realtime'
  })
  await broker.start()
  await broker.publish('room', bytes(1), { history: KEEP })
  const clients = ((await server.admin.client('LIST')) as string).match(/user=publisher/g)
  t.equal(clients?.length, 1)
})

t.test('case 160: the user of the docs, behind Sentinel', async (t) => {
  const master = await RedisServer.start(t)
  const sentinel = await RedisServer.sentinel(t, 'main', master)
  await until(async () => ((await sentinel.admin.call('SENTINEL', 'MASTERS')) as unknown[]).length === 1)
  await master.admin.call('ACL', ...serving)
  const sentinels = [{ host: '127.0.0.1', port: sentinel.port }]
  await tryAll(t, { sentinels, name: 'main', username: 'realtime', password: 'password' })
})

t.test('case 160: the user of the docs, in a cluster', async (t) => {
  const nodes = await startCluster(t)
  const apply = (words: readonly string[]) => Promise.all(nodes.map(({ admin }) => admin.call('ACL', ...words)))
  await apply(clustered)
  const clusterOf = (username: string) => {
    const cluster = new Cluster(
      nodes.map(({ port }) => ({ host: '127.0.0.1', port })),
      { lazyConnect: true, shardedSubscribers: true, redisOptions: { username, password: 'password' } }
    )
    t.teardown(() => cluster.disconnect())
    return cluster
  }
  await tryAll(t, clusterOf('realtime'))
  for (const name of ['spublish', 'xadd', 'time', 'ssubscribe', 'cluster|slots']) {
    await apply(['SETUSER', 'less', ...clustered.slice(2), `-${name}`])
    const { broker, heard } = makeRedisBroker(t, { redis: clusterOf('less'), prefix: 'realtime' })
    await t.rejects(
      broker.start(heard),
      { code: 'FST_RT_BROKER', message: new RegExp(name.replace('|', '.')) } as never,
      name
    )
  }
  // Each server has its own users: one that was forgotten is enough.
  await apply(['SETUSER', 'less', ...clustered.slice(2)])
  await nodes[2]?.admin.call('ACL', 'SETUSER', 'less', '-xadd')
  const { broker, heard } = makeRedisBroker(t, { redis: clusterOf('less'), prefix: 'realtime' })
  await t.rejects(broker.start(heard), { code: 'FST_RT_BROKER', message: /lacks a permission: xadd/ } as never)
})

t.test('case 160: nothing is written to stderr', async (t) => {
  const server = await RedisServer.start(t)
  const written: unknown[] = []
  for (const method of ['warn', 'error'] as const) {
    const { [method]: original } = console
    console[method] = (...words: unknown[]) => written.push(words)
    t.teardown(() => {
      console[method] = original
    })
  }
  await server.admin.call('ACL', ...serving)
  await server.admin.call('ACL', 'SETUSER', 'realtime', '-info')
  const redis = new Redis(`redis://realtime:password@127.0.0.1:${server.port}`, { lazyConnect: true })
  t.teardown(() => redis.disconnect())
  const { broker, heard } = makeRedisBroker(t, { redis, prefix: 'realtime' })
  await t.rejects(broker.start(heard), { code: 'FST_RT_BROKER' })
  t.strictSame(written, [])
})

t.test('the check uses a name whose server is connected', async (t) => {
  t.equal(
    reachableName('seed', () => true),
    'seed'
  )
  t.equal(
    reachableName('seed', (name) => name === 'seed2'),
    'seed2'
  )
  // With no server connected it ends too, and the check fails at its first command.
  t.match(
    reachableName('seed', () => false),
    /^seed/
  )
})
