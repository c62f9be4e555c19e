import t from 'tap'
import { RedisServer, until } from '../support/redis-server.ts'
import { TcpProxy } from '../support/tcp-proxy.ts'
import { bytes, dataOf, freshPrefix, openRedisBroker } from './redis-bench.ts'

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

t.test('a node that doesn’t know the replication id starts no epochs of its own', async (t) => {
  const server = await RedisServer.start(t)
  const proxy = await TcpProxy.start(t, server.port)
  proxy.rewrite = ['master_replid:', 'hidden_replid:']
  const prefix = freshPrefix()
  const knows = await openRedisBroker(t, { redis: server.url, prefix })
  const doesNot = await openRedisBroker(t, { redis: proxy.url, prefix })
  const { epoch } = await knows.broker.publish('room', bytes(1), { history: KEEP })
  t.strictSame(await doesNot.broker.publish('room', bytes(2), { history: KEEP }), {
    offset: 2,
    epoch,
    duplicate: false
  })
  t.strictSame(await knows.broker.publish('room', bytes(3), { history: KEEP }), { offset: 3, epoch, duplicate: false })
  t.strictSame(
    (await doesNot.broker.history('new', { limit: 0 })).position,
    (await knows.broker.history('new', { limit: 0 })).position
  )
})

t.test('a master that was demoted and promoted again, unnoticed, has another id', async (t) => {
  const server = await RedisServer.start(t)
  const { broker } = await openRedisBroker(t, { redis: server.url, times: { probeInterval: 100 } })
  const before = await broker.publish('room', bytes(1), { history: KEEP })
  // Its own replication id is given up for the other's, then for a new one.
  await server.admin.multi().replicaof('127.0.0.1', 1).replicaof('NO', 'ONE').exec()
  await until(async () => (await broker.history('room', { limit: 0 })).position.epoch !== before.epoch)
  t.match(await broker.publish('room', bytes(2), { history: KEEP }), { offset: 2 })
})
