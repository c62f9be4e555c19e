import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { inspect } from 'node:util'
import t from 'tap'
import { createPublisher } from '../lib/publisher.ts'
import { connect } from '../lib/testing/index.ts'
import { buildApp } from './support/app.ts'
import { RedisServer, until } from './support/redis-server.ts'

t.test('a worker publishes to the sockets of a server', async (t) => {
  const redis = await RedisServer.start(t)
  const { app } = await buildApp(t, { redis: redis.url, prefix: 'app', auth: false })
  const history = { size: 10, ttl: 60_000 }
  app.channel('boards/:board', { onSubscribe: true, history })
  app.ws('/', async (socket) => {
    socket.sendJson(await socket.subscribe('boards/a'))
    for await (const _ of socket.messages());
  })
  const client = await connect(app, '/')
  const { epoch } = await client.next<{ epoch: string }>()
  const publisher = await createPublisher({
    redis: redis.url,
    prefix: 'app',
    history: (channel) => (channel.startsWith('boards/') ? history : undefined)
  })
  t.teardown(() => publisher.close())
  t.strictSame(await publisher.publish('boards/a', { x: 1 }, { idempotencyKey: 'k' }), { offset: 1, epoch })
  t.strictSame(await publisher.publish('boards/a', { x: 1 }, { idempotencyKey: 'k' }), { offset: 1, epoch })
  t.strictSame(await client.next(), { channel: 'boards/a', data: { x: 1 }, offset: 1, epoch })
  t.strictSame(await publisher.publish('plain', 1), { offset: 0, epoch: '' })
  await client.expectNothing()
  await t.rejects(publisher.publish('', 1), { code: 'FST_RT_INVALID_CHANNEL' })
  await t.rejects(publisher.publish('a', 1n), { code: 'FST_RT_INVALID_DATA' })
  await t.rejects(publisher.publish('a', 1, { exept: 'x' } as never), { code: 'FST_RT_INVALID_ARGUMENT' })
  for (const idempotencyKey of ['', null as never]) {
    const published = publisher.publish('boards/a', 2, { idempotencyKey })
    await t.rejects(published, { code: 'FST_RT_INVALID_IDEMPOTENCY_KEY' })
  }
})

t.test('what is kept is checked before it costs what is kept already', async (t) => {
  // Without ttl the stream was deleted, by the publish that should have added to it.
  const redis = await RedisServer.start(t)
  let history: unknown = { size: 10, ttl: 60_000 }
  const publisher = await createPublisher({ redis: redis.url, history: () => history as never })
  t.teardown(() => publisher.close())
  t.match(await publisher.publish('a', 1), { offset: 1 })
  for (const wrong of [{ size: 10 }, { size: 1.5, ttl: 1_000 }, { size: '10', ttl: 'x' }, null, Promise.resolve()]) {
    history = wrong
    const message = /^Option history: the policy that it returns is wrong: make history/
    await t.rejects(publisher.publish('a', 2), { code: 'FST_RT_INVALID_OPTION', message } as never)
  }
  history = { size: 10, ttl: 60_000 }
  t.match(await publisher.publish('a', 3), { offset: 2 })
})

t.test('case 135: a worker’s publication of 2 MiB is refused, by the servers’ limit or its own', async (t) => {
  const redis = await RedisServer.start(t)
  const large = 'x'.repeat(2 * 1024 * 1024)
  for (const [limits, isTaken] of [
    [undefined, false],
    [{}, false],
    [{ publication: 4_000_000 }, true]
  ] as const) {
    const publisher = await createPublisher({ redis: redis.url, limits })
    t.teardown(() => publisher.close())
    if (isTaken) await publisher.publish('a', large)
    else await t.rejects(publisher.publish('a', large), { code: 'FST_RT_PUBLICATION_TOO_LARGE', statusCode: 413 })
  }
})

t.test('options that are none', async (t) => {
  const redis = 'redis://127.0.0.1:1'
  const wrong: [unknown, RegExp][] = [
    [undefined, /redis/],
    [null, /redis/],
    [
      { redis, prefx: 'app' },
      /Option prefx: unknown option; use one of redis, prefix, history, binary, limits, timeout/
    ],
    [{ redis, history: { size: 10, ttl: 60_000 } }, /Option history: give a function/],
    [{ redis, prefix: '' }, /Option prefix/],
    [{ redis, timeout: 99 }, /Option timeout: make it a whole number from 100 to 600000 \(ms\)/],
    [{ redis, timeout: Number.POSITIVE_INFINITY }, /Option timeout/],
    [{ redis, limits: null }, /Option limits: give an object/],
    [{ redis, limits: 5 }, /Option limits: give an object/],
    [{ redis, binary: true }, /Option binary: give a function that returns true or false/],
    [{ redis, limits: { size: 5 } }, /Option limits.size: unknown option; use publication/],
    [
      { redis, limits: { publication: 0 } },
      /Option limits.publication: make it a whole number from 1 to 536870912 \(bytes\)/
    ]
  ]
  for (const [options, message] of wrong) {
    await t.rejects(createPublisher(options as never), { code: 'FST_RT_INVALID_OPTION', message } as never)
  }
})

t.test('without Redis there is nothing to publish to', async (t) => {
  await t.rejects(createPublisher({} as never), { code: 'FST_RT_INVALID_OPTION' })
  await t.rejects(createPublisher({ redis: 'http://localhost' }), { code: 'FST_RT_INVALID_OPTION' })
})

t.test('a Redis that refuses us for good is an error, not a wait', async (t) => {
  const redis = await RedisServer.start(t, { requirepass: 'secret' })
  await t.rejects(createPublisher({ redis: redis.url }), { code: 'FST_RT_BROKER' })
})

t.test('case 160: a publisher whose password stops working says so with each publish', async (t) => {
  const redis = await RedisServer.start(t)
  const user = (password: string) =>
    redis.admin.call('ACL', 'SETUSER', 'worker', 'reset', 'on', `>${password}`, '~*', '&*', '+@all')
  await user('first-password')
  const publisher = await createPublisher({ redis: redis.url.replace('redis://', 'redis://worker:first-password@') })
  t.teardown(() => publisher.close())
  await publisher.publish('a', 1)

  await user('second-password')
  await redis.admin.call('CLIENT', 'KILL', 'USER', 'worker')
  const failure = () =>
    publisher.publish('a', 2).then(
      () => undefined,
      (error: Error) => error
    )
  await until(async () => (await failure())?.cause !== undefined)
  const cause = { code: 'FST_RT_BROKER', message: 'The broker refused: WRONGPASS (wrong user name or password)' }
  t.match(await failure(), { code: 'FST_RT_UNAVAILABLE', message: 'The broker is unavailable', cause })
  t.notMatch(inspect(await failure()), /(first|second)-password/)

  await user('first-password')
  await until(async () => (await failure()) === undefined)
  await redis.kill()
  await until(async () => (await failure()) !== undefined)
  t.equal((await failure())?.cause, undefined, 'a Redis that is away has refused nobody')
})

t.test('a Redis that cannot be used in time is an error, not a wait', async (t) => {
  // It waited for as long as Redis was away: a cron job was started again and again, and none of them ended.
  const redis = await RedisServer.start(t)
  const unavailable = { code: 'FST_RT_UNAVAILABLE', statusCode: 503 }
  redis.stop()
  await t.rejects(createPublisher({ redis: redis.url, timeout: 100 }), unavailable, 'it does not answer')
  await redis.kill()
  await t.rejects(createPublisher({ redis: redis.url, timeout: 100 }), unavailable, 'it is away')
  await redis.restart()
  const publisher = await createPublisher({ redis: redis.url, timeout: 600_000 })
  t.teardown(() => publisher.close())
  t.match(await publisher.publish('a', 1), { offset: 0 })
})

t.test('a process whose publisher finds no Redis ends by itself', async (t) => {
  const script = `
    import { createPublisher } from './lib/publisher.ts'
    createPublisher({ redis: 'redis://127.0.0.1:1', timeout: 100 }).catch(({ code }) => console.log(code))
  `
  const child = spawn(process.execPath, [...process.execArgv, '--input-type=module', '-e', script], {
    cwd: new URL('..', import.meta.url),
    stdio: ['ignore', 'pipe', 'inherit']
  })
  t.teardown(() => child.kill('SIGKILL'))
  const output = text(child.stdout)
  t.strictSame(await once(child, 'exit'), [0, null])
  t.equal((await output).trim(), 'FST_RT_UNAVAILABLE')
})

t.test('a worker publishes bytes', async (t) => {
  const redis = await RedisServer.start(t)
  const { app } = await buildApp(t, { redis: redis.url, auth: false })
  const history = { size: 10, ttl: 60_000 }
  app.channel('files/:file', { binary: true, history })
  await app.ready()
  const publisher = await createPublisher({
    redis: redis.url,
    history: () => history,
    binary: (channel) => channel.startsWith('files/')
  })
  t.teardown(() => publisher.close())
  const data = Uint8Array.from([0xff, 0x0a])
  t.match(await publisher.publish('files/a', data), { offset: 1 })
  t.match(await app.realtime.publish('files/a', data), { offset: 2 })
  await t.rejects(publisher.publish('files/a', 'text'), { code: 'FST_RT_INVALID_BYTES' })
  await t.rejects(publisher.publish('other', data), { code: 'FST_RT_INVALID_DATA' })
  const bytes = Buffer.from(data)
  t.match(await app.realtime.history('files/a'), { publications: [{ data: bytes }, { data: bytes }], offset: 2 })
})
