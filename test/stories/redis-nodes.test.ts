import { once } from 'node:events'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { WebSocket } from 'ws'
import { RedisKeys } from '../../lib/broker/redis/keys.ts'
import { DEFAULT_TIMES } from '../../lib/broker/redis/options.ts'
import { LEASE } from '../../lib/handshake/places.ts'
import { testToken } from '../../lib/testing/index.ts'
import { check } from '../checker/check.ts'
import { NodeProcess } from '../checker/node-process.ts'
import { Publisher } from '../checker/publisher.ts'
import { seeded } from '../checker/random.ts'
import { declareRoutes, type ServerSettings } from '../checker/server.ts'
import { Subscriber } from '../checker/subscriber.ts'
import { readFinals } from '../checker/trial.ts'
import { buildApp } from '../support/app.ts'
import { connect } from '../support/connect.ts'
import { freePort, RedisServer, until } from '../support/redis-server.ts'
import { TcpProxy } from '../support/tcp-proxy.ts'

/* What holds over all nodes, and what a node takes with it when it dies. */
LEASE.ttl = 2000
// No audit finds in these tests what a message has to tell.
Object.assign(DEFAULT_TIMES, { auditPeriod: [3_600_000, 3_600_000] })

const server = await RedisServer.start(t)
let prefixes = 0
const freshPrefix = () => `nodes${process.pid}-${prefixes++}`

async function app(t: Test, prefix: string, redis = server.url, perUser?: number) {
  const limits = perUser === undefined ? {} : { limits: { connections: { perUser } } }
  const { app } = await buildApp(t, { redis, prefix, ...limits })
  declareRoutes(app)
  await app.ready()
  return app
}

async function nodeProcess(t: Test, settings: ServerSettings): Promise<NodeProcess> {
  const node = new NodeProcess(settings)
  t.teardown(() => node.end('SIGKILL'))
  await node.start()
  return node
}

/** Milliseconds by Redis's clock. */
async function redisTime(): Promise<number> {
  const [seconds, microseconds] = (await server.admin.time()).map(Number) as [number, number]
  return seconds * 1_000 + Math.floor(microseconds / 1_000)
}

function refusal(app: FastifyInstance, token: string): Promise<unknown> {
  return connect(app, '/sub', { token }).catch((error) => error)
}

t.test('revocation', async (t) => {
  await t.test('a user is disconnected on the other node at once', async (t) => {
    const prefix = freshPrefix()
    const [a, b] = await Promise.all([app(t, prefix), app(t, prefix)])
    const [ada, bob] = await Promise.all(['ada', 'bob'].map((sub) => connect(a, '/sub', { token: testToken({ sub }) })))
    await b.realtime.disconnect({ user: 'ada' })
    t.match(await ada?.closed(), { code: 4403, reason: 'forbidden' })
    await bob?.expectNothing()
    await bob?.close()
  })

  await t.test('B55: and on a node that Redis was away from, once it is back', async (t) => {
    const prefix = freshPrefix()
    const proxy = await TcpProxy.start(t, server.port)
    const [a, b] = await Promise.all([app(t, prefix, proxy.url), app(t, prefix)])
    const ada = await connect(a, '/sub', { token: testToken({ sub: 'ada' }) })
    proxy.redirect(await freePort())
    await until(() => !a.realtime.ready())
    await b.realtime.disconnect({ user: 'ada' })
    await ada.expectNothing()
    proxy.redirect(server.port)
    t.match(await ada.closed(), { code: 4403 })
  })
})

t.test('connections of one user', async (t) => {
  await t.test('are counted over all nodes', async (t) => {
    const prefix = freshPrefix()
    const [a, b] = await Promise.all([app(t, prefix, server.url, 2), app(t, prefix, server.url, 2)])
    const token = testToken({ sub: 'ada' })
    const first = await connect(a, '/sub', { token })
    await connect(b, '/sub', { token })
    for (const node of [a, b]) t.match(await refusal(node, token), { statusCode: 429 })
    await connect(a, '/sub', { token: testToken({ sub: 'bob' }) })
    await first.close()
    await until(() => connect(b, '/sub', { token }).then(Boolean, () => false))
  })

  await t.test('B56: and outlive a node that was killed by no more than a lease', async (t) => {
    const prefix = freshPrefix()
    const settings = { redis: server.url, prefix, perUser: 1, leaseTtl: LEASE.ttl }
    const a = await nodeProcess(t, settings)
    const b = await app(t, prefix, server.url, 1)
    const client = new Subscriber({ name: 'ada', channels: [], ports: () => [a.port], random: seeded(1) })
    t.teardown(() => client.stop())
    await until(() => client.isOpen)
    await a.end('SIGKILL')
    const lease = new RedisKeys(prefix, 0).lease('user:ada')
    const [, end] = await server.admin.zrangebyscore(lease, '0', '+inf', 'WITHSCORES')
    const left = Number(end) - (await redisTime())
    t.ok(left <= LEASE.ttl, `the lease has ${left} ms left`)
    // By Redis's clock, which decides: each attempt that began after the end of the lease succeeds, and none that ended before.
    const token = testToken({ sub: 'ada' })
    for (let isIn = false; !isIn; ) {
      const isOver = (await redisTime()) > Number(end)
      isIn = await connect(b, '/sub', { token }).then(Boolean, () => false)
      if (isOver) t.ok(isIn, 'the place is free')
      if (isOver) break
      if ((await redisTime()) < Number(end)) t.notOk(isIn, 'the place is taken')
    }
  })
})

t.test('case 162: a node that stood still for longer than its leases ends what has no place any more', async (t) => {
  const prefix = freshPrefix()
  const a = await nodeProcess(t, { redis: server.url, prefix, perUser: 2, leaseTtl: LEASE.ttl })
  const b = await app(t, prefix, server.url, 2)
  const token = testToken({ sub: 'ada' })
  const codes: number[] = []
  const ended: Promise<unknown>[] = []
  for (const _ of [1, 2]) {
    const client = new WebSocket(`ws://127.0.0.1:${a.port}/sub`, ['realtime.v1', `bearer.${token}`])
    t.teardown(() => client.terminate())
    ended.push(once(client, 'close').then(([code]) => codes.push(code)))
    await once(client, 'open')
  }
  t.match(await refusal(b, token), { statusCode: 429 }, 'both places are taken')
  a.stop()
  const taken = []
  while (taken.length < 2)
    await connect(b, '/sub', { token }).then(
      (socket) => taken.push(socket),
      () => undefined
    )
  t.same(codes, [], 'four are open')
  a.continue()
  await Promise.all(ended)
  t.same(codes, [4409, 4409], 'those of the node that stood still')
  t.equal(b.realtime.connections().length, 2)
  t.match(await refusal(b, token), { statusCode: 429 }, 'no place has come free')
  t.same(a.faults, [])
})

t.test('F117: a node is killed under traffic', async (t) => {
  const prefix = freshPrefix()
  const settings = { redis: server.url, prefix }
  const [a, b] = await Promise.all([nodeProcess(t, settings), nodeProcess(t, settings)])
  const channels = ['ch/1', 'ch/2', 'ch/3']
  const random = seeded(2)
  let living = [a.port]
  const others = () => [b.port]
  const make = (name: string, ports: () => readonly number[]) => {
    const client = new Subscriber({ name, channels, ports, random })
    t.teardown(() => client.stop())
    return client
  }
  const onA = Array.from({ length: 5 }, (_, n) => make(`a${n}`, () => living))
  const onB = Array.from({ length: 5 }, (_, n) => make(`b${n}`, others))
  const clients = [...onA, ...onB]
  await until(() => clients.every((client) => client.isSettled))
  const publisher = new Publisher({ channels, rate: 100, ports: others, random, tag: 'f117' })
  await until(() => publisher.publishes.length > 30)
  living = [b.port]
  await a.end('SIGKILL')
  await until(() => onA.every((client) => client.isSettled && client.port === b.port))
  const since = publisher.publishes.length
  await until(() => publisher.publishes.length > since + 30)
  await publisher.stop(5000)
  const finals = await readFinals(server.url, prefix, channels)
  await until(() =>
    clients.every((client) => finals.every(({ channel, offset }) => client.positionOf(channel)?.offset === offset))
  )
  const { violations, figures } = check({ clients, publishes: publisher.publishes, finals })
  t.strictSame(violations, [])
  t.equal(figures.recovered, onA.length * channels.length, 'who was on A recovered on B')
  t.equal(figures.gapsDeclared, 0)
  t.ok(onB.every((client) => client.closes.length === 0))
  t.strictSame(b.faults, [])
})

t.test('D86: a node that was stopped for long doesn’t give its healthy clients up', async (t) => {
  const node = await nodeProcess(t, { redis: server.url, prefix: freshPrefix() })
  const clients = Array.from({ length: 20 }, (_, n) => {
    const client = new Subscriber({
      name: `client-${n}`,
      channels: ['ch/1'],
      ports: () => [node.port],
      random: seeded(n),
      silence: 60_000
    })
    t.teardown(() => client.stop())
    return client
  })
  await until(() => clients.every((client) => client.isSettled))
  const { app } = await buildApp(t, { auth: false, heartbeat: { interval: 500, timeout: 60_000 } })
  app.ws('/witness', async (socket) => {
    for await (const _ of socket.messages());
  })
  const witness = await connect(app, '/witness')
  node.stop()
  // Seven intervals of another server, which are longer than the node's interval and timeout for heartbeats together.
  for (let pings = 0; pings < 8; pings++) await once(witness.raw, 'ping')
  node.continue()
  const pings = clients.map(({ pings }) => pings)
  await until(() => clients.every((client, n) => client.pings > (pings[n] as number) + 2))
  t.ok(clients.every((client) => client.closes.length === 0))
})
