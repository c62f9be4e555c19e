import { once } from 'node:events'
import { setImmediate as nextTurn } from 'node:timers/promises'
import t from 'tap'
import { ERROR } from '../../lib/protocol/channel-errors.ts'
import { DISCONNECT } from '../../lib/protocol/disconnect-codes.ts'
import { connect, testToken } from '../../lib/testing/index.ts'
import { atLeast, buildApp } from '../support/app.ts'
import { pending } from '../support/pending.ts'
import { until } from '../support/redis-server.ts'
import { Speaker } from '../support/speaker.ts'

/* Sessions over their sockets: what one asks of the other is done. */

const history = { size: 100, ttl: 60_000 }
const memory = true
const token = testToken({ sub: 'ada' })

t.test('too many commands: the error 111', async (t) => {
  const { app } = await buildApp(t, { auth: false, limits: { messages: { rate: 0.001, burst: 3 } } })
  app.channel('a', { onSubscribe: true })
  const speaker = await Speaker.open(app, { memory })
  speaker.send({ id: 1, ping: {} }, { id: 2, ping: {} }, { id: 3, ping: {} }, { send: {} })
  const answers = [await speaker.next(), await speaker.next(), await speaker.next()]
  t.same(new Set(answers.map(({ id }) => id)), new Set([1, 2, 3]))
  t.match(
    answers.find(({ id }) => id === 3),
    { error: ERROR.tooManyRequests }
  )
})

t.test('commands that wait hold up the socket, not the process', async (t) => {
  const { app } = await buildApp(t, { auth: false, limits: { maxQueue: 4 }, channels: { maxCalls: 1 } })
  const { promise: opened, resolve: open } = pending()
  let most = 0
  let running = 0
  app.rpc('wait', async () => {
    most = Math.max(most, ++running)
    await opened
    running--
  })
  const speaker = await Speaker.open(app, { memory })
  for (let id = 1; id <= 20; id++) speaker.send({ id, rpc: { method: 'wait' } })
  open()
  for (let id = 1; id <= 20; id++) t.equal((await speaker.next()).id, id)
  t.equal(most, 1)
})

t.test('the drain finishes what was begun, and begins nothing', async (t) => {
  const { app } = await buildApp(t, { drain: { window: 0 } })
  const { promise: opened, resolve: open } = pending()
  const calls: unknown[] = []
  app.rpc('wait', async ({ data }) => {
    calls.push(data)
    await opened
    return data
  })
  const busy = await Speaker.open(app, { memory, token })
  const idle = await Speaker.open(app, { memory, token })
  busy.send({ id: 1, rpc: { method: 'wait', data: 1 } })
  await until(() => calls.length === 1)
  const drained = app.realtime.drain()
  t.same(await idle.closed(), DISCONNECT.shutdown)
  busy.send({ id: 2, rpc: { method: 'wait', data: 2 } })
  await busy.socket.expectNothing()
  open()
  t.same(await busy.next(), { id: 1, rpc: { data: 1 } })
  t.same(await busy.closed(), DISCONNECT.shutdown)
  t.match(await drained, { closed: 2, terminated: 0 })
  t.same(calls, [1])
})

t.test('a slow reader without history is told what it missed, with history it misses nothing', async (t) => {
  const { app } = await buildApp(t, { auth: false, limits: { buffered: { soft: 1_024, hard: 10_000_000 } } })
  app.channel('kept', { onSubscribe: true, history })
  app.channel('lossy', { onSubscribe: true })
  const data = 'x'.repeat(50_000)
  for (const channel of ['kept', 'lossy']) {
    const speaker = await Speaker.open(app)
    await speaker.call({ subscribe: { channel } })
    speaker.socket.raw.pause()
    for (let n = 1; n <= 90; n++) {
      await app.realtime.publish(channel, { n, data })
      await nextTurn()
    }
    speaker.socket.raw.resume()
    const seen: number[] = []
    let dropped = 0
    while (seen.at(-1) !== 90) {
      const { push } = await speaker.next<{
        push: { pub?: { data: { n: number } }; message?: { data: { notice: { dropped: number } } } }
      }>()
      if (push.pub !== undefined) seen.push(push.pub.data.n)
      dropped += push.message?.data.notice.dropped ?? 0
    }
    t.equal(seen.length + dropped, 90)
    if (channel === 'kept') t.equal(dropped, 0)
    else t.ok(dropped > 0)
    await speaker.socket.close(1000)
  }
})

t.test('a reader that is given up', async (t) => {
  const { app, logs } = await buildApp(t, { auth: false, limits: { buffered: { soft: 1_024, hard: 100_000 } } })
  app.rpc('much', () => 'x'.repeat(60_000))
  const speaker = await Speaker.open(app)
  speaker.socket.raw.pause()
  for (let id = 1; id <= 190; id++) speaker.send({ id, rpc: { method: 'much' } })
  await until(() => app.realtime.connections().length === 0)
  t.ok(atLeast(logs, 'info').some(({ msg }) => msg === 'slow reader closed'))
})

t.test('who has not connected is pinged as WebSockets are', async (t) => {
  const { app } = await buildApp(t, { auth: false, heartbeat: { interval: 50, timeout: 5_000 } })
  app.channel('a', { onSubscribe: true })
  const client = await connect(app, '/connection/websocket')
  await once(client.raw, 'ping')
  await client.expectNothing()
})

t.test('C68: what never settles is answered with an error, and holds up nothing', async (t) => {
  const { app, logs } = await buildApp(t, { auth: false, channels: { maxCalls: 1, hookTimeout: 100 } })
  const opened = pending()
  let isStuck = true
  const wait = () => (isStuck ? opened.promise : undefined)
  app.channel('a', { history, publishers: 'clients', onSubscribe: wait, onPublish: wait, onHistory: wait })
  app.rpc('wait', wait)
  const speaker = await Speaker.open(app, { memory })
  for (const command of [
    { id: 1, subscribe: { channel: 'a' } },
    { id: 2, rpc: { method: 'wait' } },
    { id: 3, publish: { channel: 'a', data: 1 } },
    { id: 4, history: { channel: 'a' } }
  ]) {
    speaker.send(command)
    t.match(await speaker.next(), { id: command.id, error: ERROR.internal })
  }
  isStuck = false
  speaker.send({ id: 5, subscribe: { channel: 'a' } }, { id: 6, rpc: { method: 'wait' } })
  const answers = [await speaker.next(), await speaker.next()]
  t.match(
    answers.find(({ id }) => id === 5),
    { subscribe: { offset: 0 } }
  )
  opened.resolve()
  speaker.send({ id: 7, rpc: { method: 'wait' } })
  t.match(await speaker.next(), { id: 7, rpc: { data: null } })
  const timeouts = logs.filter(({ err }) => (err as { code?: string } | undefined)?.code === 'FST_RT_HOOK_TIMEOUT')
  t.equal(timeouts.length, 4)
})
