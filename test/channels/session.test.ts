import { once } from 'node:events'
import { setImmediate as nextTurn } from 'node:timers/promises'
import t from 'tap'
import type { Session } from '../../lib/channels/session.ts'
import { ERROR, forbidden } from '../../lib/protocol/channel-errors.ts'
import { DISCONNECT } from '../../lib/protocol/disconnect-codes.ts'
import { connect, testToken } from '../../lib/testing/index.ts'
import { atLeast, buildApp } from '../support/app.ts'
import { until } from '../support/redis-server.ts'
import { Speaker } from '../support/speaker.ts'

/* What happens to a connection beside what it asks for. */

const history = { size: 100, ttl: 60_000 }
const memory = true
const token = testToken({ sub: 'ada' })

function gate() {
  let open: () => void = () => undefined
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return { opened, open }
}

t.test('too many commands: the error 111, then the end', async (t) => {
  const { app } = await buildApp(t, { auth: false, limits: { messages: { rate: 1, burst: 3 } } })
  app.channel('a')
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
  const { opened, open } = gate()
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

t.test('C68: what never settles is answered with an error, and holds up nothing', async (t) => {
  const { app, logs } = await buildApp(t, { auth: false, channels: { maxCalls: 1, hookTimeout: 100 } })
  const { opened, open } = gate()
  let isStuck = true
  const wait = () => (isStuck ? opened : undefined)
  app.channel('a', { history, onSubscribe: wait, onPublish: wait, onHistory: wait })
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
  open()
  speaker.send({ id: 7, rpc: { method: 'wait' } })
  t.match(await speaker.next(), { id: 7, rpc: { data: null } })
  const timeouts = logs.filter(({ err }) => (err as { code?: string } | undefined)?.code === 'FST_RT_HOOK_TIMEOUT')
  t.equal(timeouts.length, 4)
})

t.test('a subscription that nobody waits for any more is none', async (t) => {
  const { app } = await buildApp(t, { auth: false })
  const { opened, open } = gate()
  const calls: string[] = []
  app.channel('slow/:id', {
    history,
    presence: true,
    onSubscribe: async ({ params }) => {
      calls.push(`subscribe ${params.id}`)
      await opened
    },
    onUnsubscribe: ({ params }) => calls.push(`unsubscribe ${params.id}`)
  })
  const gone = await Speaker.open(app, { memory })
  gone.send({ id: 1, subscribe: { channel: 'slow/gone' } })
  const ended = await Speaker.open(app, { memory })
  ended.send({ id: 1, subscribe: { channel: 'slow/ended' } })
  await until(() => calls.length === 2)
  await gone.socket.close(1000)
  await until(() => app.realtime.connections().length === 1)
  const [{ id = '' } = {}] = app.realtime.connections()
  await app.realtime.unsubscribe({ connection: id }, 'slow/ended')
  open()
  t.same(await ended.next(), { id: 1, error: ERROR.permissionDenied })
  t.same(await app.realtime.presence('slow/gone'), [])
  t.same(await app.realtime.presence('slow/ended'), [])
  t.same(app.realtime.connections()[0]?.subscriptions, [])
  t.same(calls, ['subscribe gone', 'subscribe ended'])
})

t.test('the server ends a subscription', async (t) => {
  const { app } = await buildApp(t)
  const ended: unknown[] = []
  app.channel('a/:id', {
    history,
    onUnsubscribe: ({ code, reason, user, params }) => ended.push([params.id, code, reason, user?.sub])
  })
  const speaker = await Speaker.open(app, { memory, token })
  for (const channel of ['a/1', 'a/2', 'a/3']) await speaker.call({ subscribe: { channel } })
  await app.realtime.unsubscribe({ user: 'ada' }, 'a/1')
  await app.realtime.unsubscribe({ user: 'ada' }, 'a/none')
  t.same(await speaker.next(), { push: { channel: 'a/1', unsubscribe: { code: 2000, reason: 'server unsubscribe' } } })
  t.same(await speaker.call({ unsubscribe: { channel: 'a/2' } }), { unsubscribe: {} })
  t.same(app.realtime.connections()[0]?.subscriptions, ['a/3'])
  await app.realtime.publish('a/1', 1)
  await speaker.socket.expectNothing()
  await speaker.socket.close(1000)
  await until(() => ended.length === 3)
  t.same(ended, [
    ['1', 2000, 'server unsubscribe', 'ada'],
    ['2', 0, 'client unsubscribed', 'ada'],
    ['3', 1, 'disconnect', 'ada']
  ])
})

t.test('hooks that nobody waits for may fail', async (t) => {
  const { app, logs } = await buildApp(t, { auth: false })
  app.channel('sync', {
    onUnsubscribe: () => {
      throw new Error('sync')
    }
  })
  app.channel('async', { onUnsubscribe: () => Promise.reject(new Error('async')) })
  const speaker = await Speaker.open(app, { memory })
  for (const channel of ['sync', 'async']) {
    await speaker.call({ subscribe: { channel } })
    await speaker.call({ unsubscribe: { channel } })
  }
  const lines = atLeast(logs, 'error')
  t.same(
    lines.map(({ msg, hook, err }) => [msg, hook, (err as Error).message]),
    [
      ['channel hook failed', 'onUnsubscribe', 'sync'],
      ['channel hook failed', 'onUnsubscribe', 'async']
    ]
  )
})

t.test('a subscription expires, or is refreshed', async (t) => {
  const { app } = await buildApp(t, { auth: false })
  const soon = () => Date.now() / 1000 + 1.2
  app.channel('short/:id', {
    onSubscribe: () => ({ expiresAt: soon() }),
    onRefresh: ({ token, claims }) => {
      t.equal(claims, undefined)
      if (token === 'late') return { expiresAt: 1 }
      return token === 'forever' ? undefined : { expiresAt: soon() + 60 }
    }
  })
  const speaker = await Speaker.open(app, { memory })
  t.same(await speaker.call({ subscribe: { channel: 'short/1' } }), { subscribe: { expires: true, ttl: 1 } })
  for (const id of [2, 3]) await speaker.call({ subscribe: { channel: `short/${id}` } })
  const refresh = (id: number, token: string) => speaker.call({ sub_refresh: { channel: `short/${id}`, token } })
  t.match(await refresh(2, 'more'), { sub_refresh: { expires: true, ttl: Number } })
  t.same(await refresh(3, 'forever'), { sub_refresh: {} })
  t.same(await refresh(3, ''), { error: ERROR.badRequest })
  t.same(await refresh(3, 'late'), { error: ERROR.expired })
  t.same(await speaker.next(), {
    push: { channel: 'short/1', unsubscribe: { code: 2501, reason: 'subscription expired' } }
  })
  t.same(app.realtime.connections()[0]?.subscriptions, ['short/2', 'short/3'])
})

t.test('a subscription that ends while it is refreshed', async (t) => {
  const { app } = await buildApp(t, { auth: false })
  const { opened, open } = gate()
  app.channel('a', { onRefresh: () => opened })
  const speaker = await Speaker.open(app, { memory })
  await speaker.call({ subscribe: { channel: 'a' } })
  speaker.send({ id: 5, sub_refresh: { channel: 'a', token: 'x' } })
  await speaker.call({ ping: {} })
  const [{ id = '' } = {}] = app.realtime.connections()
  await app.realtime.unsubscribe({ connection: id }, 'a')
  t.match(await speaker.next(), { push: { unsubscribe: { code: 2000 } } })
  open()
  t.same(await speaker.next(), { id: 5, error: ERROR.permissionDenied })
})

t.test('the drain finishes what was begun, and begins nothing', async (t) => {
  const { app } = await buildApp(t, { drain: { window: 0 } })
  const { opened, open } = gate()
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
  app.channel('kept', { history })
  app.channel('lossy')
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

t.test('what is lost for good ends the subscription, and the client learns it when it comes back', async (t) => {
  const { app } = await buildApp(t, {
    auth: false,
    channels: { onConnect: ({ data }) => ({ subscriptions: data === 1 ? ['kept'] : [] }) }
  })
  app.channel('kept', { history })
  const client = await Speaker.open(app, { memory })
  const server = await Speaker.open(app, { memory, connect: { data: 1 } })
  await client.call({ subscribe: { channel: 'kept' } })
  await app.realtime.publish('kept', 1)
  t.match(await client.next(), { push: { pub: { offset: 1 } } })
  t.match(await server.next(), { push: { pub: { offset: 1 } } })
  // As the hub says it of a channel whose epoch changed behind everybody's back.
  for (const { session } of app.websocketServer.clients as unknown as Set<{ session: Session }>) {
    session.insufficientState('kept')
    session.insufficientState('kept')
    session.insufficientState('none')
  }
  t.match(await client.next(), { push: { channel: 'kept', unsubscribe: { code: 2500, reason: 'insufficient state' } } })
  t.same(await server.closed(), DISCONNECT.insufficientState)
  t.match(await client.call({ subscribe: { channel: 'kept', recover: true, offset: 1, epoch: 'before' } }), {
    subscribe: { was_recovering: true, recovered: undefined, offset: 1 }
  })
})

t.test('what fails when nobody waits for it any more', async (t) => {
  const { opened, open } = gate()
  let calls = 0
  const { app, logs } = await buildApp(t, {
    auth: false,
    channels: {
      onMessage: async ({ data }) => {
        calls++
        if (data === 'slow') await opened
        throw data === 'slow' ? new Error('late') : forbidden()
      }
    }
  })
  app.channel('a')
  const speaker = await Speaker.open(app)
  speaker.send({ send: { data: 'refused' } })
  t.same(await speaker.call({ ping: {} }), { ping: {} })
  speaker.send({ send: { data: 'slow' } })
  await until(() => calls === 2)
  await speaker.socket.close(1000)
  await until(() => app.realtime.connections().length === 0)
  open()
  await nextTurn()
  t.match(atLeast(logs, 'error'), [{ msg: 'channel command failed', err: { message: 'late' } }])
})

t.test('who has not connected is pinged as WebSockets are', async (t) => {
  const { app } = await buildApp(t, { auth: false, heartbeat: { interval: 50, timeout: 5_000 } })
  app.channel('a')
  const client = await connect(app, '/connection/websocket')
  await once(client.raw, 'ping')
  await client.expectNothing()
})
