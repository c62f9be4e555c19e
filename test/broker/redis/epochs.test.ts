import t, { type Test } from 'tap'
import { RedisServer, until } from '../../support/redis-server.ts'
import { TcpProxy } from '../../support/tcp-proxy.ts'
import { bytes, dataOf, freshPrefix, openRedisBroker } from './bench.ts'

const KEEP = { size: 1000, ttl: 60_000 }

t.test('on one server', async (t) => {
  const server = await RedisServer.start(t)

  await t.test('case 102: FLUSHALL starts again with a new epoch', async (t) => {
    const { broker } = await openRedisBroker(t, { redis: server.url })
    const before = await broker.publish('room', bytes(1), { history: KEEP })
    await server.admin.flushall()
    const after = await broker.publish('room', bytes(2), { history: KEEP })
    t.equal(after.offset, 1)
    t.not(after.epoch, before.epoch)
  })

  await t.test('case 96: the hash evicted alone', async (t) => {
    const prefix = freshPrefix()
    const { broker } = await openRedisBroker(t, { redis: server.url, prefix })
    const before = await broker.publish('room', bytes(1), { history: KEEP })
    await server.admin.del(`${prefix}:{room}:meta`)
    const { publications, position } = await broker.history('room', { limit: 9 })
    t.strictSame(publications, [], 'what can’t be numbered is gone')
    t.not(position.epoch, before.epoch)
    t.strictSame(await broker.publish('room', bytes(2), { history: KEEP }), {
      offset: 1,
      epoch: position.epoch,
      duplicate: false
    })
  })

  await t.test('case 96: the stream evicted alone', async (t) => {
    const prefix = freshPrefix()
    const { broker } = await openRedisBroker(t, { redis: server.url, prefix })
    const before = await broker.publish('room', bytes(1), { history: KEEP })
    await server.admin.del(`${prefix}:{room}:stream`)
    const { position } = await broker.history('room', { limit: 9 })
    t.not(position.epoch, before.epoch)
    t.equal(position.offset, 1)
    t.strictSame((await broker.history('room', { limit: 9 })).position, position, 'once')
    const after = await broker.publish('room', bytes(2), { history: KEEP })
    t.strictSame(after, { offset: 2, epoch: position.epoch, duplicate: false })
  })

  await t.test('case 96: out of memory, nothing is published that was not added', async (t) => {
    const { broker, heard } = await openRedisBroker(t, { redis: server.url })
    await broker.subscribe('room')
    await broker.publish('room', bytes(1), { history: KEEP })
    await server.admin.config('SET', 'maxmemory', '1')
    const refused = { code: 'FST_RT_BROKER', message: 'The broker refused: OOM (it is out of memory)' }
    await t.rejects(broker.publish('room', bytes(2), { history: KEEP, idempotencyKey: 'k' }), refused)
    await t.rejects(broker.publish('new', bytes(2), { history: KEEP }), refused)
    await t.rejects(broker.publish('room', bytes(2), { idempotencyKey: 'k2' }), refused)
    await server.admin.config('SET', 'maxmemory', '0')
    t.match(await broker.publish('room', bytes(3), { history: KEEP, idempotencyKey: 'k' }), { offset: 2 })
    await heard.until(() => heard.publications.length === 2)
    t.strictSame(heard.data('room'), ['1', '3'])
    t.strictSame(dataOf(await broker.history('room', { limit: 9 })), ['1', '3'])
  })

  await t.test('case 103: a key that holds something else', async (t) => {
    const prefix = freshPrefix()
    const { broker } = await openRedisBroker(t, { redis: server.url, prefix })
    await server.admin.set(`${prefix}:{meta}:meta`, 'x')
    await broker.publish('stream', bytes(1), { history: KEEP })
    await server.admin.set(`${prefix}:{stream}:stream`, 'x')
    const refused = { code: 'FST_RT_BROKER', message: /WRONGTYPE/ }
    await t.rejects(broker.publish('meta', bytes(1), { history: KEEP }), refused)
    await t.rejects(broker.publish('stream', bytes(2), { history: KEEP }), refused)
    t.match(await broker.publish('other', bytes(1), { history: KEEP }), { offset: 1 })
  })
})

t.test('a restart that lost nothing: a new epoch, the same history', async (t) => {
  const server = await RedisServer.start(t, { appendonly: 'yes', appendfsync: 'always' })
  const { broker, heard } = await openRedisBroker(t, { redis: server.url })
  const before = await broker.publish('room', bytes(1), { history: KEEP })
  await server.kill()
  await server.restart()
  await heard.untilState(true, 3)
  const { publications, position } = await broker.history('room', { limit: 9 })
  t.not(position.epoch, before.epoch)
  t.match(publications, [{ offset: 1, epoch: position.epoch, data: bytes(1) }])
  t.match(await broker.publish('room', bytes(2), { history: KEEP }), { offset: 2, epoch: position.epoch })
})

t.test('case 106: a replica that lagged is promoted', async (t) => {
  const master = await RedisServer.start(t)
  const link = await TcpProxy.start(t, master.port)
  const replica = await RedisServer.start(t, { replicaof: `127.0.0.1 ${link.port}` })
  await replica.untilInfo(/master_link_status:up/)
  const proxy = await TcpProxy.start(t, master.port)
  const { broker, heard } = await openRedisBroker(t, { redis: proxy.url })
  await broker.subscribe('room')
  const first = await broker.publish('room', bytes('1'), { history: KEEP })
  await until(async () => (await master.admin.wait(1, 1000)) === 1)
  link.eatReplies()
  await broker.publish('room', bytes('"lost"'), { history: KEEP })

  await master.kill()
  await replica.admin.replicaof('NO', 'ONE')
  proxy.redirect(replica.port)
  await heard.untilState(true, 3)
  const { publications, position } = await broker.history('room', { limit: 9 })
  t.strictSame(
    publications.map(({ offset }) => offset),
    [1]
  )
  t.not(position.epoch, first.epoch, 'whoever saw the second is told')
  const second = await broker.publish('room', bytes('"other"'), { history: KEEP })
  t.strictSame(second, { offset: 2, epoch: position.epoch, duplicate: false })
})

t.test('case 97: a master that was demoted is left for the new one', async (t) => {
  const first = await RedisServer.start(t)
  const second = await RedisServer.start(t)
  const proxy = await TcpProxy.start(t, first.port)
  const { broker, heard } = await openRedisBroker(t, { redis: proxy.url })
  await broker.subscribe('room')
  await first.admin.replicaof('127.0.0.1', second.port)
  await first.untilInfo(/master_link_status:up/)
  await t.rejects(broker.publish('room', bytes(1), { history: KEEP }), { code: 'FST_RT_UNAVAILABLE' })
  await heard.untilState(false, 2)
  t.match(heard.causes[1]?.message, 'NOT_MASTER')
  proxy.redirect(second.port)
  await heard.untilState(true, 3)
  await broker.publish('room', bytes(2), { history: KEEP })
  await heard.until(() => heard.publications.length === 1)
})

t.test('a demotion that nobody publishes into is noticed by the probe', async (t) => {
  const first = await RedisServer.start(t)
  const second = await RedisServer.start(t)
  const { heard } = await openRedisBroker(t, { redis: first.url, times: { probeInterval: 100 } })
  await first.admin.replicaof('127.0.0.1', second.port)
  await heard.untilState(false, 2)
  t.match(heard.causes[1]?.message, 'NOT_MASTER')
})

t.test('a master that was demoted and promoted again, unnoticed, has another id', async (t) => {
  const server = await RedisServer.start(t)
  const { broker } = await openRedisBroker(t, { redis: server.url })
  const before = await broker.publish('room', bytes(1), { history: KEEP })
  // Its own replication id is given up for the other's, then for a new one.
  await server.admin.multi().replicaof('127.0.0.1', 1).replicaof('NO', 'ONE').exec()
  await until(async () => (await broker.history('room', { limit: 0 })).position.epoch !== before.epoch)
  t.match(await broker.publish('room', bytes(2), { history: KEEP }), { offset: 2 })
})

t.test('case 148: a master is demoted to a lagging replica and promoted again, with connections open', async (t) => {
  const master = await RedisServer.start(t)
  const link = await TcpProxy.start(t, master.port)
  const replica = await RedisServer.start(t, { replicaof: `127.0.0.1 ${link.port}` })
  await replica.untilInfo(/master_link_status:up/)
  const prefix = freshPrefix()
  const { broker, heard } = await openRedisBroker(t, { redis: master.url, prefix })
  const stranger = await openRedisBroker(t, { redis: master.url, prefix })
  await broker.subscribe('room')
  const { epoch } = await broker.publish('room', bytes(1), { history: KEEP })
  await until(async () => (await master.admin.wait(1, 1000)) === 1)
  link.eatReplies()
  for (const lost of [2, 3]) await broker.publish('room', bytes(lost), { history: KEEP })
  await heard.until(() => heard.publications.length === 3)
  await replica.admin.replicaof('NO', 'ONE')
  await master.admin.replicaof('127.0.0.1', replica.port)
  await master.untilInfo(/master_link_status:up/)
  await master.admin.replicaof('NO', 'ONE')
  const after = await stranger.broker.publish('room', bytes(4), { history: KEEP })
  t.not(after.epoch, epoch)
  t.equal(after.offset, 2)
  await heard.until(() => heard.publications.length === 4)
  t.match(heard.publications.at(-1), { data: '4', epoch: after.epoch })
})

t.test('case 148: keys that were brought back', async (t) => {
  const server = await RedisServer.start(t)

  /** Two nodes that have seen five publications, and Redis as it was after three. */
  async function restored(t: Test, kinds: readonly string[]) {
    const prefix = freshPrefix()
    // No audit but those that are asked for.
    const times = { auditPeriod: [600_000, 600_000] } as const
    const { broker, heard } = await openRedisBroker(t, { redis: server.url, prefix, times })
    const stranger = await openRedisBroker(t, { redis: server.url, prefix })
    await broker.subscribe('room')
    const { position } = await broker.history('room', { limit: 0 })
    const names = kinds.map((kind) => `${prefix}:{room}:${kind}`)
    for (const n of [1, 2, 3]) await broker.publish('room', bytes(n), { history: KEEP })
    const dumps = await Promise.all(names.map((name) => server.admin.dumpBuffer(name)))
    for (const n of [4, 5]) await broker.publish('room', bytes(n), { history: KEEP })
    await heard.until(() => heard.publications.length === 5)
    // No rollback is over within the millisecond of the last publication.
    const taken = await server.admin.time()
    await until(async () => {
      const [seconds, microseconds] = await server.admin.time()
      return (
        Number(seconds) * 1_000_000 + Number(microseconds) > Number(taken[0]) * 1_000_000 + Number(taken[1]) + 2_000
      )
    })
    for (const [at, name] of names.entries()) {
      await server.admin.call('RESTORE', name, 60_000, dumps[at] as Buffer, 'REPLACE')
    }
    return { broker, heard, stranger: stranger.broker, epoch: position.epoch }
  }

  for (const kinds of [['meta', 'stream'], ['meta']]) {
    await t.test(`${kinds}: a node that has seen more starts a new epoch`, async (t) => {
      const { broker, epoch } = await restored(t, kinds)
      const after = await broker.publish('room', bytes(6), { history: KEEP })
      t.not(after.epoch, epoch)
      t.ok(after.offset >= 4)
    })
    await t.test(`${kinds}: and so does an audit`, async (t) => {
      const { broker, epoch } = await restored(t, kinds)
      t.not((await broker.history('room', { limit: 0 })).position.epoch, epoch)
    })
  }

  await t.test('a publication below its own position is evidence, and is not passed on', async (t) => {
    const { broker, heard, stranger, epoch } = await restored(t, ['meta', 'stream'])
    t.match(await stranger.publish('room', bytes('"other 4"'), { history: KEEP }), { offset: 4, epoch })
    await heard.until(() => heard.audits.length > 0)
    await stranger.publish('room', bytes('"other 5"'), { history: KEEP })
    await stranger.publish('room', bytes('"other 6"'), { history: KEEP })
    t.strictSame(heard.audits, [['room']], 'asked once')
    const { position } = await broker.history('room', { limit: 0 })
    t.not(position.epoch, epoch)
    await stranger.publish('room', bytes(7), { history: KEEP })
    await heard.until(() => heard.data('room').includes('7'))
    t.strictSame(heard.data('room'), ['1', '2', '3', '4', '5', '7'])
    t.match(heard.publications.at(-1), { offset: 7, epoch: position.epoch })
  })

  await t.test('what was missed is looked at before it is joined to what was seen', async (t) => {
    const { broker, heard, stranger, epoch } = await restored(t, ['meta', 'stream'])
    const pause = server.admin
    await pause.call('CLIENT', 'KILL', 'TYPE', 'pubsub')
    for (const n of [4, 5, 6]) {
      await stranger.publish('room', bytes(`"other ${n}"`), { history: KEEP }).catch(() => undefined)
    }
    await heard.until(() => heard.audits.length > 0)
    const { position } = await broker.history('room', { since: { offset: 5, epoch }, limit: 100 })
    t.not(position.epoch, epoch)
  })
})

t.test('case 148: a counter that was set back goes on after what is in the stream', async (t) => {
  const server = await RedisServer.start(t)
  const prefix = freshPrefix()
  const { broker } = await openRedisBroker(t, { redis: server.url, prefix })
  for (const n of [1, 2, 3]) await broker.publish('room', bytes(n), { history: KEEP })
  const { position } = await broker.history('room', { limit: 0 })
  await server.admin.hset(`${prefix}:{room}:meta`, 'offset', 1)
  const after = await broker.publish('room', bytes(4), { history: KEEP })
  t.equal(after.offset, 4)
  t.not(after.epoch, position.epoch)
  t.strictSame(dataOf(await broker.history('room', { limit: 9 })), ['1', '2', '3', '4'])
})

t.test('case 150: an idempotency key that is gone before its time', async (t) => {
  const server = await RedisServer.start(t)
  const options = { history: KEEP, idempotencyKey: 'k' }
  for (const kind of ['once', 'onces']) {
    await t.test(`${kind} evicted`, async (t) => {
      const prefix = freshPrefix()
      const { broker } = await openRedisBroker(t, { redis: server.url, prefix })
      const first = await broker.publish('room', bytes(1), options)
      await server.admin.del(`${prefix}:{room}:${kind}`)
      const second = await broker.publish('room', bytes(1), options)
      t.equal(second.duplicate, false)
      t.equal(second.offset, 2)
      t.not(second.epoch, first.epoch)
      const { position, publications } = await broker.history('room', { limit: 9 })
      t.strictSame(
        publications.map(({ offset, epoch }) => ({ offset, epoch })),
        [position],
        'the first copy is not in the new epoch, too'
      )
      t.strictSame(await broker.publish('room', bytes(1), options), { ...second, duplicate: true }, 'known again')
      t.match(await broker.publish('room', bytes(2), { ...options, idempotencyKey: 'k2' }), { epoch: second.epoch })
    })
  }

  await t.test('one of several deleted', async (t) => {
    const prefix = freshPrefix()
    const { broker } = await openRedisBroker(t, { redis: server.url, prefix })
    const first = await broker.publish('room', bytes(1), options)
    await broker.publish('room', bytes(2), { ...options, idempotencyKey: 'k2' })
    await server.admin.hdel(`${prefix}:{room}:once`, 'k')
    await server.admin.zrem(`${prefix}:{room}:onces`, 'k')
    const conflict = broker.publish('room', bytes(3), { ...options, idempotencyKey: 'k2' })
    await t.rejects(conflict, { code: 'FST_RT_CONFLICT' }, 'what adds nothing notices it, too')
    const { position, publications } = await broker.history('room', { limit: 9 })
    t.not(position.epoch, first.epoch)
    t.strictSame(publications, [])
    t.strictSame(await broker.publish('room', bytes(1), options), { ...position, offset: 3, duplicate: false })
    t.strictSame(dataOf(await broker.history('room', { limit: 9 })), ['1'])
  })

  await t.test('another server: nothing survives in its epoch either', async (t) => {
    const prefix = freshPrefix()
    const { broker } = await openRedisBroker(t, { redis: server.url, prefix })
    await broker.publish('room', bytes(1), options)
    await server.admin.hset(`${prefix}:{room}:meta`, { replid: 'another', at: 1 })
    await server.admin.del(`${prefix}:{room}:once`)
    await broker.publish('room', bytes(1), options)
    t.strictSame(dataOf(await broker.history('room', { limit: 9 })), ['1'])
  })

  await t.test('out of memory: the refused publish changes nothing', async (t) => {
    const prefix = freshPrefix()
    const { broker } = await openRedisBroker(t, { redis: server.url, prefix })
    const first = await broker.publish('room', bytes(1), options)
    await server.admin.del(`${prefix}:{room}:once`)
    await server.admin.config('SET', 'maxmemory', '1')
    await t.rejects(broker.publish('room', bytes(1), options), { code: 'FST_RT_BROKER' })
    await server.admin.config('SET', 'maxmemory', '0')
    const { position, publications } = await broker.history('room', { limit: 9 })
    t.match(position, { offset: 1, epoch: first.epoch })
    t.equal(publications.length, 1)
  })

  await t.test('in its time: the same epoch', async (t) => {
    const prefix = freshPrefix()
    const { broker } = await openRedisBroker(t, { redis: server.url, prefix })
    const first = await broker.publish('room', bytes(1), { ...options, idempotencyTtl: 20 })
    await until(async () => (await server.admin.exists(`${prefix}:{room}:once`)) === 0)
    t.strictSame(await broker.publish('room', bytes(1), options), { offset: 2, epoch: first.epoch, duplicate: false })
  })

  await t.test('those whose time is over are forgotten, though others stay', async (t) => {
    const prefix = freshPrefix()
    const { broker } = await openRedisBroker(t, { redis: server.url, prefix })
    const keyed = (idempotencyKey: string, idempotencyTtl: number) =>
      broker.publish('room', bytes(1), { history: KEEP, idempotencyKey, idempotencyTtl })
    for (let n = 0; n < 10; n++) await keyed(`short ${n}`, 20)
    await keyed('long', 60_000)
    const [seconds, microseconds] = await server.admin.time()
    const end = Number(seconds) * 1000 + Number(microseconds) / 1000 + 20
    await until(async () => {
      const [seconds, microseconds] = await server.admin.time()
      return Number(seconds) * 1000 + Number(microseconds) / 1000 > end
    })
    for (let n = 0; n < 3; n++) await keyed(`later ${n}`, 60_000)
    t.equal(await server.admin.hlen(`${prefix}:{room}:once`), 4)
    t.match(await keyed('long', 60_000), { duplicate: true })
  })
})
