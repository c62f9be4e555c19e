import t, { type Test } from 'tap'
import { PresenceKeeper } from '../../lib/hub/presence-keeper.ts'
import type { Claims } from '../../lib/options/options.ts'
import { SocketStreams } from '../../lib/socket/socket-streams.ts'
import { connect, testToken } from '../../lib/testing/index.ts'
import { Limiter } from '../../lib/timing/limiter.ts'
import { TimerWheel } from '../../lib/timing/timer-wheel.ts'
import { makeRig } from '../hub/rig.ts'
import { buildApp } from '../support/app.ts'
import { Speaker } from '../support/speaker.ts'

/** Streams on a faulty broker. Channels whose name begins with `p` have presence, `j` joins and leaves, `b` both. */
async function rig(t: Test) {
  const { broker, hub, clock, failures, reader, written } = await makeRig(t)
  const wheel = new TimerWheel(clock, 50)
  const presence = new PresenceKeeper({
    broker,
    wheel,
    limiter: new Limiter(8),
    failed: (stage) => failures.push(stage)
  })
  const definitions: Record<string, object> = {
    p: { presenceTtl: 30_000, joinLeave: false },
    j: { joinLeave: true },
    b: { presenceTtl: 30_000, joinLeave: 'always' },
    n: { joinLeave: false },
    B: { joinLeave: true, binary: true }
  }
  const findChannel = (name: string) => definitions[name[0] as string] as never
  const streams = new SocketStreams({ hub, presence, findChannel })
  let ids = 0
  const socket = (user: Claims | null = { sub: 'ada' }) => reader(undefined, { id: `c${++ids}`, user })
  const present = async (channel: string) =>
    (await broker.presence(channel)).map(({ connection, user, info }) => [connection, user, JSON.parse(`${info}`)])
  const calls = () => broker.calls.splice(0).filter((call) => /^(add|join|leave) /.test(call))
  return { broker, streams, socket, present, presence, calls, written, hub }
}

t.test('a socket is present from its subscription until its end', async (t) => {
  const { streams, socket, present, presence, calls } = await rig(t)
  const [ada, bob] = [socket({ sub: 'ada', info: { nick: 'A' } }), socket(null)]
  await streams.subscribe(ada, 'b1', { presence: true })
  await streams.subscribe(bob, 'b1', { presence: { info: { seat: 7 } } })
  t.same(await present('b1'), [
    ['c1', 'ada', { user: 'ada', client: 'c1', conn_info: { nick: 'A' } }],
    ['c2', '', { user: '', client: 'c2', chan_info: { seat: 7 } }]
  ])
  t.same(calls(), ['add b1', 'join b1', 'add b1', 'join b1'])
  await streams.subscribe(ada, 'b1', { presence: true })
  t.same(calls(), [], 'a second call is the same presence')
  streams.unsubscribe(ada, 'b1')
  await presence.settled()
  t.same(calls(), ['leave b1'])
  t.match(await present('b1'), [['c2']])
  await streams.subscribe(bob, 'p2', { presence: true })
  bob.closed = true
  streams.closed(bob)
  await presence.settled()
  t.same([await present('b1'), await present('p2')], [[], []])
  t.same(calls(), ['add p2', 'leave b1'])
  streams.closed(bob)
  streams.unsubscribe(ada, 'b1')
  await presence.settled()
  t.same(calls(), [], 'it leaves once')
})

t.test('without presence nobody learns of it', async (t) => {
  const { streams, socket, calls, present } = await rig(t)
  await streams.subscribe(socket(), 'b1', undefined)
  await streams.subscribe(socket(), 'b1', { presence: false })
  t.same([calls(), await present('b1')], [[], []])
  await streams.subscribe(socket(), 'j1', { presence: true })
  t.same(calls(), ['join j1'], 'a channel without presence has its joins')
})

t.test('what cannot be is refused, and leaves nothing behind', async (t) => {
  const { streams, socket, calls, broker, present, presence } = await rig(t)
  const ada = socket()
  const invalid = { code: 'FST_RT_INVALID_ARGUMENT', message: /^Argument presence: / }
  for (const channel of ['n1', 'x']) await t.rejects(streams.subscribe(ada, channel, { presence: true }), invalid)
  for (const wrong of [1, 'yes', null, { inof: 1 }]) {
    await t.rejects(streams.subscribe(ada, 'p1', { presence: wrong as never }), invalid)
  }
  await t.rejects(streams.subscribe(ada, '', { presence: true }), { code: 'FST_RT_INVALID_CHANNEL' })
  broker.away = true
  await t.rejects(streams.subscribe(ada, 'p1', { presence: true }), { message: 'away' })
  broker.away = false
  await presence.settled()
  t.same(await present('p1'), [])
  ada.closed = true
  await t.rejects(streams.subscribe(ada, 'p1', { presence: true }), { code: 'FST_RT_SOCKET_CLOSED' })
  t.same(calls(), ['add p1'])
})

t.test('a socket that ends its subscription, or closes, while it enters is not there', async (t) => {
  const { streams, socket, presence, present, hub, calls } = await rig(t)
  const [ada, bob] = [socket(), socket()]
  const subscribing = streams.subscribe(ada, 'b1', { presence: true })
  streams.unsubscribe(ada, 'b1')
  t.same(await subscribing, { recovered: false, offset: 0, epoch: '' })
  t.notOk(hub.isOn(ada, 'b1'))
  const closing = streams.subscribe(bob, 'b1', { presence: true })
  bob.closed = true
  streams.closed(bob)
  await t.rejects(closing, { code: 'FST_RT_SOCKET_CLOSED' })
  await presence.settled()
  t.same(await present('b1'), [])
  t.same(calls(), ['add b1', 'add b1'], 'and nobody joined')
})

t.test('one that leaves and comes back at once is there', async (t) => {
  const { streams, socket, presence, present } = await rig(t)
  const ada = socket()
  await streams.subscribe(ada, 'p1', { presence: true })
  streams.unsubscribe(ada, 'p1')
  await streams.subscribe(ada, 'p1', { presence: true })
  await presence.settled()
  t.match(await present('p1'), [['c1']])
})

t.test('clients of the channel protocol see a socket come and go', async (t) => {
  const { app } = await buildApp(t)
  app.channel('room', { onSubscribe: true, presence: true, joinLeave: true })
  app.ws('/room', async (socket) => {
    await socket.subscribe('room', { presence: { info: 'by socket' } })
    socket.sendJson('there')
    for await (const _ of socket.messages());
  })
  const client = await Speaker.open(app, { token: testToken({ sub: 'bob' }) })
  await client.call({ subscribe: { channel: 'room', join_leave: true } })
  t.match(await client.next(), { push: { join: { info: { user: 'bob' } } } })
  const socket = await connect(app, '/room', { token: testToken({ sub: 'ada' }) })
  t.equal(await socket.next(), 'there')
  t.match(await client.next(), { push: { channel: 'room', join: { info: { user: 'ada', chan_info: 'by socket' } } } })
  t.match(
    (await app.realtime.presence('room')).find(({ user }) => user === 'ada'),
    { channelInfo: 'by socket' }
  )
  await socket.close()
  t.match(await client.next(), { push: { channel: 'room', leave: { info: { user: 'ada' } } } })
})

t.test('a client that resumes is present too', async (t) => {
  const { app } = await buildApp(t)
  app.channel('room', { presence: true })
  app.ws('/room', async (socket) => {
    await socket.subscribe('room', { presence: { info: 'resumed' } })
    socket.sendJson('there')
    for await (const _ of socket.messages());
  })
  const socket = await connect(app, '/room?since=', { token: testToken({ sub: 'ada' }) })
  let message: unknown
  do message = await socket.next()
  while (message !== 'there')
  t.match(await app.realtime.presence('room'), [{ user: 'ada', channelInfo: 'resumed' }])
})

t.test('a slow reader of an app.ws route is given what it missed once it reads again', async (t) => {
  const { app } = await buildApp(t, { limits: { buffered: { soft: 16_384, hard: 33_554_432 } } })
  app.channel('room', { history: { size: 1_000, ttl: 60_000 } })
  app.ws('/room', async (socket) => {
    await socket.subscribe('room')
    socket.sendJson('there')
    for await (const _ of socket.messages());
  })
  const socket = await connect(app, '/room', { token: testToken(), memory: true })
  t.equal(await socket.next(), 'there')
  const large = 'x'.repeat(60_000)
  for (let n = 1; n <= 40; n++) await app.realtime.publish('room', large)
  for (let n = 1; n <= 40; n++) t.equal(((await socket.next()) as { offset: number }).offset, n)
})

t.test('a channel that carries bytes takes no socket', async (t) => {
  const { streams, socket, present } = await rig(t)
  const refused = { code: 'FST_RT_INVALID_CHANNEL', cause: { message: 'The channel is declared with binary: true' } }
  for (const options of [undefined, { presence: true }]) {
    await t.rejects(streams.subscribe(socket(), 'B1', options), refused)
  }
  t.same(await present('B1'), [])
})
