import { Cluster } from 'ioredis'
import t, { type Test } from 'tap'
import { RedisBroker } from '../../../lib/broker/redis/redis-broker.ts'
import { redisSlot } from '../../../lib/broker/redis/slot.ts'
import { RedisServer, startCluster, until, untilClusterIsUp } from '../../support/redis-server.ts'
import { brokerContract } from '../contract.ts'
import { bytes, dataOf, freshPrefix, openRedisBroker, QUICK } from './bench.ts'

const KEEP = { size: 10_000, ttl: 60_000 }
const nodes = await startCluster(t, { 'cluster-require-full-coverage': 'no' })

function connect(t: Test): Cluster {
  const cluster = new Cluster(
    nodes.map(({ port }) => ({ host: '127.0.0.1', port })),
    { lazyConnect: true, shardedSubscribers: true }
  )
  t.teardown(() => cluster.disconnect())
  return cluster
}

// The servers' clocks are this machine's.
const now = async () => Date.now()

async function pass(milliseconds: number): Promise<void> {
  const end = Date.now() + milliseconds
  await until(() => Date.now() > end)
}

function ownerOf(slot: number): RedisServer {
  return nodes[Math.floor((slot * nodes.length) / 16_384)] as RedisServer
}

t.test('the contract', (t) =>
  brokerContract(t, async (t) => {
    const options = { redis: connect(t), prefix: freshPrefix() }
    return {
      bench: { ...(await openRedisBroker(t, options)), pass, now },
      other: { ...(await openRedisBroker(t, options)), pass, now }
    }
  })
)

t.test('hash slots are the server’s', async (t) => {
  for (const key of ['a', 'a:{b}', '{}x', '{', 'x{y', 'x{}{y}', '{ü}', 'foo{bar}{zap}', 'realtime:{room}:meta']) {
    t.equal(redisSlot(key), await nodes[0]?.admin.cluster('KEYSLOT', key), key)
  }
})

t.test('channels of one slot are subscribed together', async (t) => {
  // More names than slots.
  const names = Array.from({ length: 16_385 }, (_, n) => `room ${n}`)
  const slots = new Map(names.map((name) => [redisSlot(name), name]))
  const together = names.flatMap((name) => {
    const last = slots.get(redisSlot(name)) as string
    return last === name ? [] : [name, last]
  })
  const { broker, heard } = await openRedisBroker(t, { redis: connect(t) })
  await Promise.all(together.slice(0, 2).map((name) => broker.subscribe(name)))
  for (const node of nodes) await node.admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub')
  await heard.until(() => heard.audits.length > 0)
  // What is published in between has no history.
  await until(async () => {
    await Promise.all(together.slice(0, 2).map((name) => broker.publish(name, bytes(1)).catch(() => undefined)))
    return together.slice(0, 2).every((name) => heard.data(name).length > 0)
  })
})

t.test('case 105: the connection to each server is probed', async (t) => {
  const calls = async (node: RedisServer) =>
    Number(/cmdstat_spublish:calls=(\d+)/.exec(await node.admin.info('commandstats'))?.[1] ?? 0)
  const before = await Promise.all(nodes.map(calls))
  const { broker } = await openRedisBroker(t, { redis: connect(t), times: { probeInterval: 200 } })
  for (const [at, node] of nodes.entries()) await until(async () => (await calls(node)) > (before[at] as number) + 2)
  t.equal(broker.up, true)
})

t.test('case 98: a slot moves under traffic', async (t) => {
  const prefix = freshPrefix()
  const { broker, heard } = await openRedisBroker(t, { redis: connect(t), prefix, times: { probeInterval: 200 } })
  await broker.subscribe('room')
  const slot = redisSlot(`${prefix}:{room}`)
  const from = ownerOf(slot)
  const to = nodes.find((node) => node !== from) as RedisServer
  let published = 0
  let moving = true
  const traffic = (async () => {
    while (moving) {
      const done = await broker.publish('room', bytes(published + 1), { history: KEEP }).catch((error) => error)
      if (done instanceof Error) t.match(done.message, /broker/i)
      else published++
    }
  })()
  await until(() => published > 20)
  await moveSlot(slot, from, to)
  const moved = published
  await heard.until(() => heard.audits.length > 0)
  await until(() => published > moved + 20)
  moving = false
  await traffic

  const page = await broker.history('room', { limit: 100_000 })
  t.ok(dataOf(page).length >= published)
  // One may fall into the moment in which the subscriber is replaced: whoever listens reads it from history.
  let epoch = ''
  await until(async () => {
    epoch = (await broker.publish('room', bytes('"last"'), { history: KEEP })).epoch
    return heard.publications.at(-1)?.data === '"last"'
  })
  const ofEpoch = heard.publications.filter((publication) => publication.epoch === epoch).map(({ offset }) => offset)
  t.strictSame(
    ofEpoch,
    [...new Set(ofEpoch)].sort((a, b) => a - b),
    'in order, none twice'
  )
})

t.test('case 149: publishes that are not awaited keep the order of the calls', async (t) => {
  const prefix = freshPrefix()
  const { broker, heard } = await openRedisBroker(t, { redis: connect(t), prefix })
  const other = await openRedisBroker(t, { redis: connect(t), prefix })
  await broker.subscribe('hall')
  const slot = redisSlot(`${prefix}:{hall}`)
  const from = ownerOf(slot)
  const to = nodes.find((node) => node !== from) as RedisServer
  let disturbing = true
  const disturbances = (async () => {
    await moveSlot(slot, from, to)
    while (disturbing) {
      // The other broker has the script loaded again between two publishes of this one.
      await Promise.all([from.admin.script('FLUSH'), to.admin.script('FLUSH')])
      await other.broker.publish('hall', bytes('"other"'), { history: KEEP }).catch(() => undefined)
    }
  })()
  const calls: Promise<boolean>[] = []
  for (let n = 1; n <= 300; n++) {
    const published = broker.publish('hall', bytes(n), { history: KEEP })
    calls.push(
      published.then(
        () => true,
        () => false
      )
    )
    // Some in one turn, some in later ones.
    if (n % 7 === 0) await new Promise(setImmediate)
    if (n === 150) await to.admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
  }
  const outcomes = await Promise.all(calls)
  disturbing = false
  await disturbances
  t.ok(outcomes.filter(Boolean).length > 0)
  const page = await broker.history('hall', { limit: 100_000 })
  const entries = dataOf(page)
    .filter((data) => data !== '"other"')
    .map(Number)
  t.strictSame(
    entries,
    [...new Set(entries)].sort((a, b) => a - b),
    'in order, none twice'
  )
  t.ok(heard.states.length > 0)
})

t.test('case 151: one of three masters dies, and comes back', async (t) => {
  const prefix = freshPrefix()
  const { broker, heard } = await openRedisBroker(t, { redis: connect(t), prefix, times: { probeInterval: 200 } })
  const rooms = Array.from({ length: 12 }, (_, n) => `room ${n}`)
  const [dead] = nodes as [RedisServer]
  const isDead = (room: string) => ownerOf(redisSlot(`${prefix}:{${room}}`)) === dead
  const lost = rooms.filter(isDead)
  const others = rooms.filter((room) => !isDead(room))
  const another = Array.from({ length: 100 }, (_, n) => `hall ${n}`).find(isDead) as string
  t.ok(lost.length > 0 && others.length > 0)
  await Promise.all(rooms.map((room) => broker.subscribe(room)))
  const name = `127.0.0.1:${dead.port}`
  t.strictSame(broker.shards, new Map(nodes.map(({ port }) => [`127.0.0.1:${port}`, true])))
  heard.audits.splice(0)

  const published = new Map(others.map((room) => [room, 0]))
  const publishToOthers = async () => {
    for (const room of others) {
      await broker.publish(room, bytes(published.get(room) as number), { history: KEEP })
      published.set(room, (published.get(room) as number) + 1)
    }
  }
  await publishToOthers()
  await dead.kill()
  while (heard.shards.length === 0) await publishToOthers()
  t.match(heard.shards, [[name, false, /^Redis \(127\.0\.0\.1:\d+\): [A-Za-z]+$/]])
  t.strictSame(broker.shards.get(name), false)
  // One that was sent in the moment of its death is an unknown outcome.
  await until(async () => {
    const outcomes = await Promise.all(lost.map((room) => broker.publish(room, bytes(0)).catch((error) => error)))
    return outcomes.every(({ code }) => code === 'FST_RT_UNAVAILABLE')
  })
  for (let n = 0; n < 30; n++) {
    await publishToOthers()
    for (const room of lost) {
      const unavailable = { code: 'FST_RT_UNAVAILABLE' }
      await t.rejects(broker.publish(room, bytes(1), { history: KEEP }), unavailable)
      await t.rejects(broker.publish(room, bytes(1)), unavailable)
      await t.rejects(broker.history(room, { limit: 1 }), unavailable)
      await t.rejects(broker.subscribe(another), unavailable)
    }
  }
  t.strictSame(heard.audits, [], 'nothing is known to be missed')

  await dead.restart()
  await heard.until(() => heard.shards.length > 1)
  t.strictSame(heard.shards.at(-1), [name, true])
  await heard.until(() => lost.every((room) => heard.audits.flat().includes(room)))
  for (const room of others) t.notOk(heard.audits.flat().includes(room), 'the others are not audited')
  await publishToOthers()
  await until(async () => {
    const outcomes = await Promise.allSettled(lost.map((room) => broker.publish(room, bytes(1), { history: KEEP })))
    return outcomes.every(({ status }) => status === 'fulfilled') && lost.every((room) => heard.data(room).length > 0)
  })
  for (const room of others) {
    const sent = Array.from({ length: published.get(room) as number }, (_, n) => `${n}`)
    await heard.until(() => heard.data(room).length >= sent.length)
    t.strictSame(heard.data(room), sent, 'each of them, once and in order')
  }
  t.strictSame(heard.states, [true])
  t.equal(broker.up, true)
})

t.test('case 151: a broker and a publisher start while a master is away', async (t) => {
  await untilClusterIsUp(nodes)
  const prefix = freshPrefix()
  const [dead] = nodes as [RedisServer]
  const isDead = (room: string) => ownerOf(redisSlot(`${prefix}:{${room}}`)) === dead
  const rooms = Array.from({ length: 100 }, (_, n) => `room ${n}`)
  const [lost, other] = [rooms.find(isDead), rooms.find((room) => !isDead(room))] as [string, string]
  await dead.kill()
  const { broker, heard } = await openRedisBroker(t, { redis: connect(t), prefix })
  const publisher = new RedisBroker({ redis: connect(t), prefix, times: QUICK }, undefined)
  t.teardown(() => publisher.close())
  await publisher.start()
  await broker.subscribe(other)
  t.match(heard.shards, [[`127.0.0.1:${dead.port}`, false]])
  await publisher.publish(other, bytes(1), { history: KEEP })
  await heard.until(() => heard.data(other).length > 0)
  await t.rejects(publisher.publish(lost, bytes(1), { history: KEEP }), { code: 'FST_RT_UNAVAILABLE' })
  await dead.restart()
  await until(() =>
    publisher.publish(lost, bytes(1), { history: KEEP }).then(
      () => true,
      () => false
    )
  )
  await heard.until(() => heard.shards.length > 1)
  await broker.subscribe(lost)
})

t.test('case 151: every master is away', async (t) => {
  await untilClusterIsUp(nodes)
  const { broker, heard } = await openRedisBroker(t, { redis: connect(t) })
  await broker.subscribe('room')
  await Promise.all(nodes.map((node) => node.kill()))
  await heard.untilState(false)
  t.strictSame([...broker.shards.values()].includes(true), false)
  await t.rejects(broker.publish('room', bytes(1)), { code: 'FST_RT_UNAVAILABLE' })
  await Promise.all(nodes.map((node) => node.restart()))
  await heard.untilState(true)
  await until(async () => {
    await broker.publish('room', bytes(2)).catch(() => undefined)
    return heard.data('room').length > 0
  })
  t.strictSame(heard.states, [true, false, true])
})

t.test('case 151: a replica takes the place of a dead master', async (t) => {
  await untilClusterIsUp(nodes)
  const prefix = freshPrefix()
  const [dead, other] = nodes as [RedisServer, RedisServer]
  const replica = await RedisServer.start(t, { 'cluster-enabled': 'yes', 'cluster-node-timeout': 15_000 })
  await replica.admin.call('CLUSTER', 'MEET', '127.0.0.1', other.port)
  const id = `${await dead.admin.cluster('MYID')}`
  // It must know the slots that it is to take over.
  await untilClusterIsUp([...nodes, replica])
  await replica.admin.call('CLUSTER', 'REPLICATE', id)
  await replica.untilInfo(/master_link_status:up/)

  const { broker, heard } = await openRedisBroker(t, { redis: connect(t), prefix })
  const rooms = Array.from({ length: 100 }, (_, n) => `room ${n}`)
  const isDead = (room: string) => ownerOf(redisSlot(`${prefix}:{${room}}`)) === dead
  const [lost, kept] = [rooms.find(isDead), rooms.find((room) => !isDead(room))] as [string, string]
  await Promise.all([lost, kept].map((room) => broker.subscribe(room)))
  await broker.publish(lost, bytes(1), { history: KEEP })
  await heard.until(() => heard.data(lost).length > 0)
  heard.audits.splice(0)
  await dead.kill()
  await heard.until(() => heard.shards.length > 0)
  await replica.admin.call('CLUSTER', 'FAILOVER', 'TAKEOVER')
  await heard.until(() => heard.audits.flat().includes(lost))
  await until(() =>
    broker.publish(lost, bytes(2), { history: KEEP }).then(
      () => true,
      () => false
    )
  )
  await heard.until(() => heard.data(lost).includes('2'))
  t.strictSame(
    new Set(broker.shards.keys()),
    new Set([replica, ...nodes.slice(1)].map(({ port }) => `127.0.0.1:${port}`))
  )
  t.notOk(heard.audits.flat().includes(kept))
  t.strictSame(heard.states, [true])
})

async function moveSlot(slot: number, from: RedisServer, to: RedisServer): Promise<void> {
  const [fromId, toId] = await Promise.all([from, to].map((node) => node.admin.cluster('MYID')))
  await to.admin.call('CLUSTER', 'SETSLOT', slot, 'IMPORTING', `${fromId}`)
  await from.admin.call('CLUSTER', 'SETSLOT', slot, 'MIGRATING', `${toId}`)
  for (;;) {
    const keys = (await from.admin.call('CLUSTER', 'GETKEYSINSLOT', slot, 100)) as string[]
    if (keys.length === 0) break
    // REPLACE: if its connection is killed, it may send what it has sent already.
    await from.admin.call('MIGRATE', '127.0.0.1', to.port, '', 0, 5000, 'REPLACE', 'KEYS', ...keys)
  }
  for (const node of [to, from, ...nodes]) await node.admin.call('CLUSTER', 'SETSLOT', slot, 'NODE', `${toId}`)
}
