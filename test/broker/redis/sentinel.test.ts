import t from 'tap'
import { freePort, RedisServer, until } from '../../support/redis-server.ts'
import { bytes, makeRedisBroker, openRedisBroker } from './bench.ts'

const KEEP = { size: 100, ttl: 60_000 }

t.test('case 91: no sentinel answers', async (t) => {
  const sentinels = [{ host: '127.0.0.1', port: await freePort() }]
  const { broker, heard } = makeRedisBroker(t, { redis: { sentinels, name: 'main' } })
  const started = broker.start(heard)
  await heard.untilState(false)
  t.match(heard.causes[0], { message: /^Redis \(\w+\): \w+$/ })
  await broker.close()
  await t.rejects(started, { code: 'FST_RT_UNAVAILABLE' })
})

t.test('cases 92 and 97: Sentinel names another master', async (t) => {
  const master = await RedisServer.start(t)
  const replica = await RedisServer.start(t, { replicaof: `127.0.0.1 ${master.port}` })
  await replica.untilInfo(/master_link_status:up/)
  const sentinel = await RedisServer.sentinel(t, 'main', master)
  await until(async () => ((await sentinel.admin.call('SENTINEL', 'REPLICAS', 'main')) as unknown[]).length === 1)
  // The first doesn't answer: the next connection asks the other.
  const sentinels = [
    { host: '127.0.0.1', port: await freePort() },
    { host: '127.0.0.1', port: sentinel.port }
  ]
  const { broker, heard } = await openRedisBroker(t, { redis: { sentinels, name: 'main' } })
  await broker.subscribe('room')
  const before = await broker.publish('room', bytes(1), { history: KEEP })
  await heard.until(() => heard.publications.length === 1)

  await master.kill()
  await heard.untilState(true, 3)
  const after = await broker.publish('room', bytes(2), { history: KEEP })
  t.not(after.epoch, before.epoch)
  await heard.until(() => heard.data('room').includes('2'))
  t.ok(heard.audits.length > 0)
})
