import t from 'tap'
import { DEFAULT_TIMES } from '../../../lib/broker/redis/options.ts'
import { buildApp } from '../../support/app.ts'
import { freePort, RedisServer, until } from '../../support/redis-server.ts'
import { TcpProxy } from '../../support/tcp-proxy.ts'
import { bytes, dataOf, makeRedisBroker, openRedisBroker } from './bench.ts'

const KEEP = { size: 1000, ttl: 60_000 }
const UNAVAILABLE = { code: 'FST_RT_UNAVAILABLE' }
const UNKNOWN = { code: 'FST_RT_UNKNOWN_OUTCOME' }

t.test('case 91: down at boot, says so once and starts when Redis does', async (t) => {
  const port = await freePort()
  const { broker, heard } = makeRedisBroker(t, { redis: `redis://127.0.0.1:${port}` })
  const started = broker.start(heard)
  await heard.until(() => heard.states.length > 0)
  t.match(heard.causes[0], { message: /^Redis \((commands|subscriber)\): ECONNREFUSED$/ })
  await t.rejects(broker.publish('room', bytes(1)), UNAVAILABLE)
  await RedisServer.start(t, {}, port)
  await started
  t.strictSame(heard.states, [false, true])
  await broker.publish('room', bytes(1))
})

t.test('closed before it could start', async (t) => {
  const { broker, heard } = makeRedisBroker(t, { redis: `redis://127.0.0.1:${await freePort()}` })
  const started = broker.start(heard)
  await heard.until(() => heard.states.length > 0)
  await broker.close()
  await t.rejects(started, UNAVAILABLE)
})

t.test('case 92: killed and started again', async (t) => {
  const server = await RedisServer.start(t, { appendonly: 'yes', appendfsync: 'always' })
  const { broker, heard } = await openRedisBroker(t, { redis: server.url, times: { commandTimeout: 600_000 } })
  const rooms = Array.from({ length: 600 }, (_, n) => `room ${n}`)
  await Promise.all(rooms.map((room) => broker.subscribe(room)))
  await broker.publish('room 1', bytes(1), { history: KEEP })
  await heard.until(() => heard.publications.length === 1)
  t.strictSame(heard.audits, [])

  await server.kill()
  await heard.untilState(false, 2)
  t.equal(broker.up, false)
  // At once: nothing is waited for. A command has ten minutes, and this test less.
  await t.rejects(broker.publish('room 1', bytes(2), { history: KEEP }), UNAVAILABLE)
  await t.rejects(broker.publish('room 1', bytes(2)), UNAVAILABLE)
  await t.rejects(broker.subscribe('late'), UNAVAILABLE)
  await t.rejects(broker.history('room 1', { limit: 1 }), UNAVAILABLE)
  await broker.unsubscribe('room 0')

  await server.restart()
  await heard.until(() => heard.audits.length > 0)
  t.strictSame(heard.states, [true, false, true])
  t.strictSame(new Set(heard.audits.flat()), new Set(rooms.slice(1)), 'everything is audited')
  await Promise.all(rooms.map((room) => broker.publish(room, bytes(3))))
  await heard.until(() => heard.publications.length >= 600)
  t.strictSame(new Set(heard.publications.slice(1).map(({ channel }) => channel)), new Set(rooms.slice(1)))
})

t.test('case 93: the answer is lost after it was done', async (t) => {
  const server = await RedisServer.start(t)
  const proxy = await TcpProxy.start(t, server.port)
  const { broker, heard } = await openRedisBroker(t, { redis: proxy.url })
  const options = { history: KEEP, idempotencyKey: 'k' }
  const eaten = proxy.eatReplies(/eval/i)
  const publishes = [broker.publish('room', bytes(1), options), broker.publish('room', bytes(2), { history: KEEP })]
  const outcomes = Promise.all(publishes.map((publish) => t.rejects(publish, UNKNOWN)))
  await eaten
  proxy.cut()
  await outcomes
  await heard.untilState(true, 3)
  t.match(await broker.publish('room', bytes(1), options), { offset: 1, duplicate: true })
  t.strictSame(dataOf(await broker.history('room', { limit: 9 })), ['1', '2'], 'each exactly once')
})

t.test(
  'what is let go and wanted again while Redis is frozen is heard, though the first wish came too late',
  async (t) => {
    const server = await RedisServer.start(t)
    const { broker, heard } = await openRedisBroker(t, { redis: server.url, times: { commandTimeout: 500 } })
    server.stop()
    const began = performance.now()
    const first = broker.subscribe('room')
    await until(async () => performance.now() > began + 250)
    const gone = broker.unsubscribe('room')
    const second = broker.subscribe('room')
    await t.rejects(first, UNAVAILABLE)
    server.continue()
    await Promise.all([gone, second])
    await broker.publish('room', bytes(1))
    await heard.until(() => heard.publications.length === 1)
    t.match(heard.publications, [{ channel: 'room' }])
  }
)

t.test('case 94: frozen', async (t) => {
  const server = await RedisServer.start(t)
  const { broker, heard } = await openRedisBroker(t, { redis: server.url, maxPending: 100 })
  await broker.subscribe('room')
  server.stop()
  t.teardown(() => server.continue())
  const options = { history: KEEP, idempotencyKey: 'k' }
  const unknown = t.rejects(broker.publish('room', bytes(1), options), UNKNOWN)
  // It leaves with the turn, before those.
  await new Promise((resolve) => setImmediate(resolve))
  const many = await Promise.allSettled(Array.from({ length: 150 }, () => broker.publish('hall', bytes(0))))
  // After the time for a command. ioredis by itself would wait for ever.
  await unknown
  const codes = many.map((outcome) => outcome.status === 'rejected' && outcome.reason.code)
  t.equal(codes.filter((code) => code === UNKNOWN.code).length, 99, 'what waits is bounded')
  t.equal(codes.filter((code) => code === UNAVAILABLE.code).length, 51)
  await heard.untilState(false, 2)

  server.continue()
  await heard.untilState(true, 3)
  await broker.publish('room', bytes(1), options)
  t.strictSame(dataOf(await broker.history('room', { limit: 9 })), ['1'], 'exactly one')
})

t.test('case 100: asleep, and paused for writes', async (t) => {
  const server = await RedisServer.start(t)
  const { broker, heard } = await openRedisBroker(t, { redis: server.url, times: { commandTimeout: 700 } })
  await server.admin.ping()
  for (const [command, ...args] of [
    ['DEBUG', 'SLEEP', '2'],
    ['CLIENT', 'PAUSE', '2000', 'WRITE']
  ] as const) {
    const told = heard.states.length
    const slept = server.admin.call(command, ...args)
    if (command === 'CLIENT') await slept
    await t.rejects(broker.publish(command, bytes(1), { history: KEEP }), UNKNOWN)
    await heard.untilState(true, told + 2)
    t.strictSame(heard.states.slice(told), [false, true], `${command}: down once, and up once it takes writes`)
    await slept
    await broker.publish(command, bytes(2), { history: KEEP })
  }
})

t.test('case 152: a server that takes no writes, as an operator brings it about', async (t) => {
  const times = { ...DEFAULT_TIMES }
  t.teardown(() => Object.assign(DEFAULT_TIMES, times))
  for (const [word, setting, refusing, taking, error] of [
    ['NOREPLICAS', 'min-replicas-to-write', 1, 0, UNAVAILABLE],
    ['OOM', 'maxmemory', 1, 0, { code: 'FST_RT_BROKER', message: 'The broker refused: OOM (it is out of memory)' }]
  ] as const) {
    const server = await RedisServer.start(t, { 'maxmemory-policy': 'noeviction' })
    // The surface has no option for it, and five seconds are long.
    Object.assign(DEFAULT_TIMES, { probeInterval: 100 })
    const { app, logs } = await buildApp(t, { redis: server.url, auth: false })
    app.channel('kept', { history: KEEP })
    await app.ready()
    const { realtime } = app
    t.match(await realtime.publish('kept', 1), { offset: 1 })
    t.equal(realtime.ready(), true)

    await server.admin.config('SET', setting, refusing)
    await until(() => !realtime.ready())
    await t.rejects(realtime.publish('kept', 2), error as never, word)
    await t.rejects(realtime.publish('plain', 2, { idempotencyKey: 'k' }), error as never, word)
    await realtime.publish('plain', 3)

    await server.admin.config('SET', setting, taking)
    await until(() => realtime.ready())
    t.match(await realtime.publish('kept', 2), { offset: 2 }, 'a publish that was refused has left nothing')
    const changes = logs.filter(({ msg = '' }) => /^broker is (away|back)/.test(msg))
    t.match(changes, [{ err: { message: `Redis (commands): ${word}` } }, {}], 'once each')
    await app.close()
  }
})

t.test('closing ends in bounded time', async (t) => {
  const server = await RedisServer.start(t)
  // Each case has something that takes longer than the file may. How long exactly: test/broker/connections.test.ts.
  const LONG = 600_000

  await t.test('with answers outstanding: waits for them', async (t) => {
    const { broker } = await openRedisBroker(t, { redis: server.url, times: { closeTimeout: LONG } })
    const publish = broker.publish('room', bytes(1), { history: KEEP })
    await broker.close()
    t.match(await publish, { offset: 1 })
  })

  await t.test('while Redis is frozen', async (t) => {
    const { broker } = await openRedisBroker(t, {
      redis: server.url,
      times: { closeTimeout: 100, commandTimeout: LONG }
    })
    server.stop()
    const publish = t.rejects(broker.publish('room', bytes(1), { history: KEEP }), UNKNOWN)
    await broker.close()
    await publish
    server.continue()
  })

  await t.test('while it connects again', async (t) => {
    const { broker, heard } = await openRedisBroker(t, {
      redis: server.url,
      times: { reconnectDelay: [LONG, LONG] }
    })
    await server.kill()
    await heard.untilState(false, 2)
    await broker.close()
    t.strictSame(heard.states, [true, false])
  })
})
