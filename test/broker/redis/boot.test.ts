import { Redis, type RedisOptions } from 'ioredis'
import t from 'tap'
import { RedisBroker } from '../../../lib/broker/redis/redis-broker.ts'
import { RedisServer } from '../../support/redis-server.ts'
import { bytes, freshPrefix, makeRedisBroker } from './bench.ts'

const SECRET = 'hunter2-secret'
const server = await RedisServer.start(t)

t.before(async () => {
  const { admin } = server
  const all = [`>${SECRET}`, 'on', '~*', '&*', '+@all']
  await admin.call('ACL', 'SETUSER', 'no-scripts', ...all, '-eval', '-evalsha')
  await admin.call('ACL', 'SETUSER', 'no-streams', ...all, '-xadd')
  await admin.call('ACL', 'SETUSER', 'no-channels', ...all, 'resetchannels')
  await admin.call('ACL', 'SETUSER', 'no-subscribe', ...all, '-subscribe')
  await admin.call('ACL', 'SETUSER', 'other-keys', ...all, 'resetkeys', '~other:*')
  await admin.call('ACL', 'SETUSER', 'just-ours', ...all, 'resetkeys', '~ours:*', 'resetchannels', '&ours:*')
})

function refusedAtBoot(username: string, message: RegExp, redis: RedisOptions = {}) {
  t.test(`case 104: ${username}`, async (t) => {
    const options = { host: '127.0.0.1', port: server.port, username, password: SECRET, ...redis }
    const { broker, heard } = makeRedisBroker(t, { redis: options })
    const error = await broker.start(heard).catch((error) => error)
    t.equal(error.code, 'FST_RT_BROKER')
    t.match(error.message, message)
    t.notMatch(JSON.stringify([error, error.stack, error.cause, heard.causes]), SECRET)
    t.equal(broker.up, false)
    await t.rejects(broker.publish('room', bytes(1)), { code: 'FST_RT_UNAVAILABLE' })
  })
}

refusedAtBoot('nobody', /WRONGPASS \(wrong user name or password\)/)
refusedAtBoot('no-scripts', /NOPERM \(this user lacks a permission: eval\)/)
refusedAtBoot('no-streams', /NOPERM/)
refusedAtBoot('no-channels', /NOPERM/)
refusedAtBoot('no-subscribe', /NOPERM \(this user lacks a permission: subscribe\)/)
refusedAtBoot('other-keys', /NOPERM/)

t.test('case 104: a password is wanted and none given', async (t) => {
  const locked = await RedisServer.start(t, { requirepass: SECRET })
  const { broker, heard } = makeRedisBroker(t, { redis: locked.url })
  await t.rejects(broker.start(heard), { code: 'FST_RT_BROKER', message: /NOAUTH \(it wants a password\)/ })
})

t.test('needs no permission outside its prefix', async (t) => {
  const redis = `redis://just-ours:${SECRET}@127.0.0.1:${server.port}`
  const { broker, heard } = makeRedisBroker(t, { redis, prefix: 'ours' })
  await broker.start(heard)
  await broker.subscribe('room')
  await broker.publish('room', bytes(1), { history: { size: 1, ttl: 1000 } })
  await heard.until(() => heard.publications.length === 1)
})

t.test('a permission that goes later fails its calls and no others', async (t) => {
  await server.admin.call('ACL', 'SETUSER', 'later', `>${SECRET}`, 'on', '~*', '&*', '+@all')
  const redis = `redis://later:${SECRET}@127.0.0.1:${server.port}`
  const { broker, heard } = makeRedisBroker(t, { redis, prefix: freshPrefix() })
  await broker.start(heard)
  await server.admin.call('ACL', 'SETUSER', 'later', '-zadd')
  await t.rejects(broker.acquireLease('u', 'h', 1, 1000), { code: 'FST_RT_BROKER', message: /NOPERM/ })
  t.match(await broker.publish('room', bytes(1), { history: { size: 1, ttl: 1000 } }), { offset: 1 })
})

t.test('the boot check leaves nothing behind', async (t) => {
  const prefix = freshPrefix()
  const { broker, heard } = makeRedisBroker(t, { redis: server.url, prefix })
  await broker.start(heard)
  t.strictSame(await server.admin.keys(`${prefix}*`), [])
})

t.test('wrong options throw', async (t) => {
  const wrong = { code: 'FST_RT_INVALID_OPTION' }
  for (const redis of ['localhost:6379', 'http://localhost', '', 5, null, undefined]) {
    t.throws(() => new RedisBroker({ redis: redis as string }, Redis), wrong, `${redis}`)
  }
  t.throws(() => new RedisBroker({ redis: { sentinels: [{ port: 1 }] } }, Redis), {
    ...wrong,
    message: /name of master/
  })
  for (const prefix of ['', 'a{b', 'a}', 'a b', 'a*', 'x'.repeat(65), 5 as unknown as string]) {
    t.throws(() => new RedisBroker({ redis: server.url, prefix }, Redis), wrong, `prefix ${prefix}`)
  }
})
