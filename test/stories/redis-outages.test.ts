import t, { type Test } from 'tap'
import { DEFAULT_TIMES } from '../../lib/broker/redis/options.ts'
import type { RealtimeOptions } from '../../lib/options/options.ts'
import { type TestSocket, testToken } from '../../lib/testing/index.ts'
import { declareRoutes } from '../checker/server.ts'
import { atLeast, buildApp } from '../support/app.ts'
import { connect } from '../support/connect.ts'
import { freePort, RedisServer, until } from '../support/redis-server.ts'
import { TcpProxy } from '../support/tcp-proxy.ts'

/* What sockets see when Redis fails: CASES E, at the outer surface. */
// No audit comes by the clock: what it would find has to be found without.
const HOUR = 3_600_000
Object.assign(DEFAULT_TIMES, {
  commandTimeout: 500,
  reconnectDelay: [5, 50],
  probeInterval: 400,
  auditPeriod: [HOUR, HOUR]
})

let prefixes = 0

async function start(t: Test, redis: string, options: RealtimeOptions = {}) {
  const built = await buildApp(t, { redis, prefix: `outage${process.pid}-${prefixes++}`, ...options })
  declareRoutes(built.app)
  await built.app.ready()
  return built
}

type App = Awaited<ReturnType<typeof start>>['app']

interface Subscribed {
  subscribed: { recovered: boolean; offset: number; epoch: string }
}

async function subscribe(app: App, channel: string, since?: unknown) {
  const socket = await connect(app, '/sub', { token: testToken() })
  socket.send({ subscribe: channel, since })
  const { subscribed } = await socket.next<Subscribed>()
  return { socket, subscribed }
}

const publish = (app: App, value: unknown, channel = 'ch/1') => app.realtime.publish(channel, value)
const isReady = async (app: App) => (await app.inject('/ready')).statusCode === 200
const said = (text: string) => (line: { msg?: string }) => line.msg === text

/** The next message that is no ping of the heartbeat. */
async function next<T = { data: unknown; offset: number; epoch: string }>(socket: TestSocket): Promise<T> {
  for (;;) {
    const message = await socket.next<T & { ping?: number }>()
    if (message.ping === undefined) return message
  }
}

interface Notice {
  notice: { code: string; recovered: boolean; offset: number; epoch: string }
}

t.test('E91: Redis is down at boot', async (t) => {
  const port = await freePort()
  const { app, logs } = await start(t, `redis://127.0.0.1:${port}`)
  t.equal(await isReady(app), false)
  await t.rejects(publish(app, 1), { code: 'FST_RT_UNAVAILABLE' })
  const socket = await connect(app, '/sub', { token: testToken() })
  socket.send({ subscribe: 'ch/1' })
  t.match(await socket.next(), { refused: { code: 'FST_RT_UNAVAILABLE' } }, 'and the connection goes on')

  await RedisServer.start(t, {}, port)
  await until(() => isReady(app))
  socket.send({ subscribe: 'ch/1' })
  t.match(await socket.next(), { subscribed: { offset: 0 } })
  await publish(app, 1)
  t.match(await socket.next(), { data: 1, offset: 1 })
  t.equal(atLeast(logs, 'warn').filter(said('broker is away')).length, 1, 'said once, not with each attempt')
  t.equal(atLeast(logs, 'warn').filter(said('broker is back')).length, 1)
  t.strictSame(atLeast(logs, 'error'), [])
})

for (const appendonly of ['yes', 'no']) {
  t.test(`E92: Redis is killed and started again, appendonly ${appendonly}`, async (t) => {
    const server = await RedisServer.start(t, { appendonly, appendfsync: 'always' })
    const { app, logs } = await start(t, server.url)
    const { socket, subscribed } = await subscribe(app, 'ch/1')
    await publish(app, 1)
    t.match(await next(socket), { data: 1, offset: 1, epoch: subscribed.epoch })
    await server.kill()
    await until(async () => !(await isReady(app)))
    // Refused: one that was sent, and waited for, would be of unknown outcome.
    await t.rejects(publish(app, 2), { code: 'FST_RT_UNAVAILABLE' })
    await server.restart()
    await until(() => isReady(app))
    const { notice } = await next<Notice>(socket)
    t.match(notice, { code: 'insufficient_state', recovered: false, offset: appendonly === 'yes' ? 1 : 0 })
    t.not(notice.epoch, subscribed.epoch)
    await publish(app, 3)
    t.match(await next(socket), { data: 3, offset: notice.offset + 1, epoch: notice.epoch }, 'nothing in between')
    t.strictSame(atLeast(logs, 'error'), [])
  })
}

t.test('on one server', async (t) => {
  const server = await RedisServer.start(t)

  await t.test('E101: the server’s buffer for the subscriber overflows', async (t) => {
    const { app } = await start(t, server.url)
    const { socket } = await subscribe(app, 'ch/1')
    await server.admin.config('SET', 'client-output-buffer-limit', 'pubsub 65536 0 0')
    t.teardown(() => server.admin.config('SET', 'client-output-buffer-limit', 'pubsub 33554432 8388608 60'))
    const large = 'x'.repeat(400_000)
    await publish(app, large)
    await until(async () => (await publish(app, 'small').catch(() => undefined)) !== undefined)
    t.match(await next(socket), { data: large, offset: 1 }, 'from history')
    t.match(await next(socket), { data: 'small', offset: 2 })
  })

  await t.test('E102: FLUSHALL', async (t) => {
    const { app } = await start(t, server.url)
    const { socket, subscribed } = await subscribe(app, 'ch/1')
    await publish(app, 1)
    t.match(await next(socket), { offset: 1 })
    await server.admin.flushall()
    await publish(app, 2)
    const { notice } = await next<Notice>(socket)
    t.match(notice, { code: 'insufficient_state', recovered: false, offset: 1 })
    await publish(app, 3)
    t.match(await next(socket), { data: 3, offset: 2, epoch: notice.epoch })
    const again = await subscribe(app, 'ch/1', { offset: 1, epoch: subscribed.epoch })
    t.strictSame(again.subscribed, { channel: 'ch/1', recovered: false, offset: 2, epoch: notice.epoch })
  })

  await t.test('E103: a key of ours holds something else', async (t) => {
    const prefix = `wrongtype${process.pid}`
    const { app } = await start(t, server.url, { prefix })
    await server.admin.set(`${prefix}:{ch/bad}:meta`, 'not a hash')
    const { socket } = await subscribe(app, 'ch/good')
    await t.rejects(publish(app, 1, 'ch/bad'), { code: 'FST_RT_BROKER', message: /WRONGTYPE/ })
    socket.send({ subscribe: 'ch/bad' })
    t.match(await next(socket), { refused: { channel: 'ch/bad', code: 'FST_RT_BROKER' } })
    await publish(app, 2, 'ch/good')
    t.match(await next(socket), { channel: 'ch/good', data: 2 })
    t.equal(await isReady(app), true)
  })

  await t.test('E105: a deaf subscriber', async (t) => {
    const proxy = await TcpProxy.start(t, server.port)
    const { app } = await start(t, proxy.url)
    const { socket } = await subscribe(app, 'ch/1')
    proxy.eatReplies(/subscribe/i)
    await publish(app, 1)
    t.match(await next(socket), { data: 1, offset: 1 }, 'found by two probes, and made good')
  })

  await t.test('F111: closing while Redis is down comes to an end', { timeout: 60_000 }, async (t) => {
    const proxy = await TcpProxy.start(t, server.port)
    const { app } = await start(t, proxy.url, { drain: { window: 0, timeout: 1000 } })
    const { socket } = await subscribe(app, 'ch/1')
    proxy.redirect(await freePort())
    await until(async () => !(await isReady(app)))
    const [closed] = await Promise.all([socket.closed(), app.close()])
    t.equal(closed.code, 1012)
  })
})

t.test('E106: a replica that lagged takes over', async (t) => {
  const master = await RedisServer.start(t)
  const link = await TcpProxy.start(t, master.port)
  const replica = await RedisServer.start(t, { replicaof: `127.0.0.1 ${link.port}` })
  await replica.untilInfo(/master_link_status:up/)
  const proxy = await TcpProxy.start(t, master.port)
  const { app } = await start(t, proxy.url)
  const { socket, subscribed } = await subscribe(app, 'ch/1')
  const away = await subscribe(app, 'ch/1')
  await publish(app, 1)
  await until(async () => (await master.admin.wait(1, 1000)) === 1)
  link.eatReplies()
  const lost = await publish(app, 'lost')
  t.match(await next(socket), { offset: 1 })
  t.match(await next(socket), { offset: 2, data: 'lost' })
  await away.socket.close()

  await master.kill()
  await replica.admin.replicaof('NO', 'ONE')
  proxy.redirect(replica.port)
  const { notice } = await next<Notice>(socket)
  t.match(notice, { code: 'insufficient_state', recovered: false, offset: 1 }, 'who was ahead is told')
  t.not(notice.epoch, subscribed.epoch)
  await publish(app, 'other')
  t.match(await next(socket), { data: 'other', offset: 2, epoch: notice.epoch })
  const back = await subscribe(app, 'ch/1', lost)
  t.match(back.subscribed, { recovered: false, offset: 2, epoch: notice.epoch }, 'and who comes back')
})
