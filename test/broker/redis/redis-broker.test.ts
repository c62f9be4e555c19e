import { Redis } from 'ioredis'
import t from 'tap'
import { RedisServer, until } from '../../support/redis-server.ts'
import { TcpProxy } from '../../support/tcp-proxy.ts'
import { brokerContract } from '../contract.ts'
import { bytes, dataOf, freshPrefix, openRedisBroker } from './bench.ts'

const KEEP = { size: 100, ttl: 60_000 }
const server = await RedisServer.start(t)

async function serverTime(): Promise<number> {
  const [seconds, microseconds] = await server.admin.time()
  return Number(seconds) * 1000 + Number(microseconds) / 1000
}

async function pass(milliseconds: number): Promise<void> {
  const end = (await serverTime()) + milliseconds
  await until(async () => (await serverTime()) > end)
}

t.test('the contract', (t) =>
  brokerContract(t, async (t) => {
    const options = { redis: server.url, prefix: freshPrefix() }
    return {
      bench: { ...(await openRedisBroker(t, options)), pass, now: serverTime },
      other: { ...(await openRedisBroker(t, options)), pass, now: serverTime }
    }
  })
)

t.test('takes options and instances of ioredis, and leaves an instance alone', async (t) => {
  const redis = new Redis(server.port, '127.0.0.1', { commandTimeout: 5_000, lazyConnect: true })
  t.teardown(() => redis.disconnect())
  const prefix = freshPrefix()
  const one = await openRedisBroker(t, { redis, prefix })
  const other = await openRedisBroker(t, { redis: { host: '127.0.0.1', port: server.port }, prefix })
  await one.broker.subscribe('room')
  await other.broker.publish('room', bytes(1), { history: KEEP })
  await one.heard.until(() => one.heard.publications.length === 1)
  t.strictSame(dataOf(await one.broker.history('room', { limit: 9 })), ['1'])
  await one.broker.close()
  t.equal(redis.status, 'wait', 'neither used nor closed')
  t.equal(await redis.set('k', 'v', 'PX', 1000), 'OK')
})

t.test('databases are apart although pub/sub knows none', async (t) => {
  const prefix = freshPrefix()
  const zero = await openRedisBroker(t, { redis: server.url, prefix })
  const two = await openRedisBroker(t, { redis: `${server.url}/2?commandTimeout=1`, prefix })
  await zero.broker.subscribe('room')
  await two.broker.subscribe('room')
  await two.broker.publish('room', bytes(2), { history: KEEP })
  await zero.broker.publish('room', bytes(0), { history: KEEP })
  await zero.heard.until(() => zero.heard.publications.length > 0)
  t.strictSame(zero.heard.data('room'), ['0'])
  t.match(await zero.broker.history('room', { limit: 9 }), { publications: [{ data: bytes(0) }] })
})

t.test('every key is under the prefix and in the channel’s slot, and goes in time (case 73)', async (t) => {
  const prefix = freshPrefix()
  const { broker } = await openRedisBroker(t, { redis: server.url, prefix, times: { positionTtl: 200_000 } })
  const before = new Set(await server.admin.keys('*'))
  for (const name of ['*', 'a:{b}', '}{', '%7B']) {
    await broker.publish(name, bytes(1), { history: KEEP, idempotencyKey: 'k}{' })
    await broker.addPresence(name, { connection: 'c', user: 'u', info: bytes('{}') }, 60_000)
    await broker.acquireLease(name, 'h', 1, 60_000)
    await broker.takeTokens(name, 1, { rate: 0.1, burst: 5 })
  }
  const keys = (await server.admin.keys('*')).filter((key) => !before.has(key))
  t.equal(keys.length, 4 * 9)
  for (const key of keys) {
    t.match(key, new RegExp(`^${prefix}:\\{[^{}]+\\}:\\w+$`))
    const ttl = await server.admin.pttl(key)
    t.ok(ttl > 0 && ttl <= 300_000, `${key} expires`)
  }
  for (const name of ['*', 'a:{b}', '}{', '%7B']) {
    await broker.removePresence(name, 'c')
    await broker.releaseLease(name, 'h')
    await broker.removeHistory(name)
  }
  const left = (await server.admin.keys(`${prefix}:*`)).map((key) => key.replace(/^.*\}:/, ''))
  t.ok(
    // A lease's key keeps the time of the last lease for as long as that one would have lasted.
    left.every((kind) => /^(onces?|tokens|meta|lease|\{)$/.test(kind)),
    `${left}`
  )
})

t.test('publishes of one turn leave in one write', async (t) => {
  const proxy = await TcpProxy.start(t, server.port)
  const { broker } = await openRedisBroker(t, { redis: proxy.url })
  await broker.publish('room', bytes(0), { history: KEEP })
  const before = proxy.chunks
  await Promise.all(Array.from({ length: 50 }, (_, n) => broker.publish('room', bytes(n), { history: KEEP })))
  t.equal(proxy.chunks - before, 1)
})

t.test('payloads and publishers arrive byte for byte', async (t) => {
  const { broker, heard } = await openRedisBroker(t, { redis: server.url })
  await broker.subscribe('kept')
  await broker.subscribe('passing')
  const info = '{"name":"Zoë"}'
  for (const text of ['"\r"', '"é ℝ 😀"', `"\uFEFF${'€'.repeat(100_000)}"`, `"${'x'.repeat(300_000)}"`]) {
    await broker.publish('kept', bytes(text), { history: KEEP, info: bytes(info) })
    await broker.publish('passing', bytes(text), { info: bytes(info) })
    await heard.until(() => heard.publications.length === 2)
    const arrived = heard.publications.splice(0).map((one) => one.data === text && one.info === info)
    t.strictSame(arrived, [true, true], text.slice(0, 9))
  }
  // The broker carries bytes: whether they are text is checked where they are read.
  const invalid = Buffer.from([0x22, 0xff, 0xc3, 0x22])
  await broker.publish('kept', invalid, { history: KEEP })
  const { publications } = await broker.history('kept', { limit: 1, reverse: true })
  t.strictSame(publications[0]?.data, invalid)
})

t.test('case 95: a server that forgot the scripts is sent them again', async (t) => {
  const { broker } = await openRedisBroker(t, { redis: server.url })
  await broker.publish('room', bytes(1), { history: KEEP })
  await server.admin.script('FLUSH')
  const results = await Promise.all([2, 3, 4].map((n) => broker.publish('room', bytes(n), { history: KEEP })))
  t.strictSame(
    results.map(({ offset }) => offset),
    [2, 3, 4]
  )
})

t.test('the position is kept alive by reading', async (t) => {
  const prefix = freshPrefix()
  const { broker } = await openRedisBroker(t, { redis: server.url, prefix, times: { positionTtl: 100_000 } })
  const { epoch } = await broker.publish('room', bytes(1), { history: KEEP })
  await server.admin.pexpire(`${prefix}:{room}:meta`, 40_000)
  t.strictSame((await broker.history('room', { limit: 0 })).position, { offset: 1, epoch })
  t.ok((await server.admin.pttl(`${prefix}:{room}:meta`)) > 90_000)
})

t.test('a position of a channel that was never used is kept for minutes, however often it is read', async (t) => {
  const prefix = freshPrefix()
  const { broker } = await openRedisBroker(t, { redis: server.url, prefix })
  const left = () => server.admin.pttl(`${prefix}:{room}:meta`)
  const { position } = await broker.history('room', { limit: 0 })
  t.ok((await left()) <= 600_000)
  await server.admin.pexpire(`${prefix}:{room}:meta`, 200_000)
  t.strictSame((await broker.history('room', { limit: 0 })).position, position)
  const after = await left()
  t.ok(after > 500_000 && after <= 600_000, 'whoever is subscribed keeps it alive')
  await broker.publish('room', bytes(1), { history: KEEP })
  t.ok((await left()) > 600_000)
})

t.test('presence survives the loss of a part', async (t) => {
  const prefix = freshPrefix()
  const { broker } = await openRedisBroker(t, { redis: server.url, prefix })
  const entry = { connection: 'c', user: 'u', info: bytes('{}') }
  await broker.addPresence('room', entry, 60_000)
  await server.admin.del(`${prefix}:{room}:infos`)
  t.strictSame(await broker.presence('room'), [])
  await broker.addPresence('room', entry, 60_000)
  t.strictSame(await broker.presence('room'), [entry])
})

t.test('thousands leave presence at once', async (t) => {
  const { broker } = await openRedisBroker(t, { redis: server.url, times: { commandTimeout: 5000 } })
  const entries = Array.from({ length: 2500 }, (_, n) => ({ connection: `c${n}`, user: 'u', info: bytes('{}') }))
  await Promise.all(entries.map((entry) => broker.addPresence('room', entry, 300)))
  await pass(350)
  t.strictSame(await broker.presenceStats('room'), { connections: 0, users: 0 })
})

t.test('a message of an unknown kind is passed over: a newer node may have sent it', async (t) => {
  const prefix = freshPrefix()
  const { broker, heard } = await openRedisBroker(t, { redis: server.url, prefix })
  await broker.subscribe('room')
  await server.admin.publish(`${prefix}:{room}`, '?')
  await server.admin.publish(`${prefix}:{room}`, '')
  await broker.publish('room', bytes(1))
  await heard.until(() => heard.publications.length > 0)
  t.strictSame(heard.data('room'), ['1'])
})

t.test('each channel is audited once in a period', async (t) => {
  const { broker, heard } = await openRedisBroker(t, { redis: server.url, times: { auditPeriod: [150, 200] } })
  const rooms = Array.from({ length: 40 }, (_, n) => `room ${n}`)
  await Promise.all(rooms.map((room) => broker.subscribe(room)))
  await broker.unsubscribe('room 0')
  const seen = (room: string) => heard.audits.flat().filter((name) => name === room).length
  await heard.until(() => rooms.slice(1).every((room) => seen(room) >= 2))
  t.equal(seen('room 0'), 0, 'not one that was left')
  t.ok(
    heard.audits.every((audit) => audit.length < rooms.length),
    'never all at once'
  )
  t.ok(rooms.slice(1).every((room) => seen(room) <= 3))
})
