import { once } from 'node:events'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { testToken } from '../../lib/testing/index.ts'
import { buildApp } from '../support/app.ts'
import { connect } from '../support/connect.ts'
import { RedisServer } from '../support/redis-server.ts'
import { Speaker } from '../support/speaker.ts'

/* What applications that come from Socket.IO do, on two nodes over Redis. */

const server = await RedisServer.start(t)
let prefixes = 0

async function twoNodes(t: Test): Promise<[FastifyInstance, FastifyInstance]> {
  const prefix = `habits${process.pid}-${prefixes++}`
  const node = async () => {
    const { app } = await buildApp(t, { redis: server.url, prefix })
    const options = { onSubscribe: true, onPublish: true, presence: true, joinLeave: true } as const
    app.channel('rooms/:room', { ...options, history: { size: 100, ttl: 60_000 }, echo: false })
    app.ws('/rooms/:room', async (socket, request) => {
      const { room } = request.params as { room: string }
      await socket.subscribe(`rooms/${room}`, { presence: true })
      socket.sendJson({ id: socket.id })
      for await (const message of socket.messages()) await socket.publish(`rooms/${room}`, message, { except: socket })
    })
    await app.ready()
    return app
  }
  return [await node(), await node()]
}

async function enter(t: Test, app: FastifyInstance, sub: string, room = 'tea') {
  const socket = await connect(app, `/rooms/${room}`, { token: testToken({ sub }) })
  const { id } = (await socket.next()) as { id: string }
  t.type(id, 'string')
  return { socket, id }
}

t.test('to everybody but me, on whichever node I am', async (t) => {
  const [a, b] = await twoNodes(t)
  const [ada, bob] = [await enter(t, a, 'ada'), await enter(t, b, 'bob')]
  ada.socket.send('from ada')
  t.match(await bob.socket.next(), { data: 'from ada', offset: 1 })
  // Published on another node than the one that the connection is on.
  await b.realtime.publish('rooms/tea', 'to all but ada', { except: ada.id })
  await b.realtime.publish('rooms/tea', 'to all')
  t.match(await bob.socket.next(), { data: 'to all but ada', offset: 2 })
  t.match(await bob.socket.next(), { data: 'to all', offset: 3 })
  t.match(await ada.socket.next(), { data: 'to all', offset: 3 })

  const client = await Speaker.open(b, { token: testToken({ sub: 'cy' }) })
  t.match(await client.call({ subscribe: { channel: 'rooms/tea' } }), { subscribe: { offset: 3 } })
  t.match(await client.call({ publish: { channel: 'rooms/tea', data: 'from cy' } }), { publish: {} })
  for (const { socket } of [ada, bob]) t.match(await socket.next(), { data: 'from cy', offset: 4 })
  await a.realtime.publish('rooms/tea', 'last')
  t.match(await client.next(), { push: { pub: { data: 'last', offset: 5 } } })
  t.match(
    (await a.realtime.history('rooms/tea')).publications.map(({ data }) => data),
    ['from ada', 'to all but ada', 'to all', 'from cy', 'last']
  )
})

t.test('all members leave, and all members are disconnected', async (t) => {
  const [a, b] = await twoNodes(t)
  const members = [await enter(t, a, 'ada'), await enter(t, b, 'bob')]
  const outsider = await enter(t, b, 'cy', 'cake')
  t.same((await a.realtime.presence('rooms/tea')).map(({ user }) => user).sort(), ['ada', 'bob'])
  await a.realtime.disconnect({ channel: 'rooms/tea', user: 'bob' }, { code: 4001, reason: 'bob' })
  t.same(await members[1]?.socket.closed(), { code: 4001, reason: 'bob' })
  const dora = await enter(t, b, 'dora')
  await a.realtime.unsubscribe({ channel: 'rooms/tea' })
  // The other node obeys in the order of the requests: with the second the first is done.
  await a.realtime.disconnect({ channel: 'rooms/cake' }, { code: 4002, reason: 'closed' })
  t.same(await outsider.socket.closed(), { code: 4002, reason: 'closed' })
  await a.realtime.publish('rooms/tea', 'to nobody')
  for (const { socket } of [members[0], dora] as (typeof dora)[]) await socket.expectNothing()
})

t.test('connections of the whole cluster', async (t) => {
  const [a, b] = await twoNodes(t)
  const ids: string[] = []
  for (const app of [a, b, b]) ids.push((await enter(t, app, 'ada')).id)
  for (const app of [a, b]) {
    const whole = await app.realtime.connections({ cluster: true })
    t.same([whole.cursor, whole.unanswered], [undefined, 0])
    t.same(whole.connections.map(({ id }) => id).sort(), [...ids].sort())
    t.match(whole.connections[0], { user: 'ada', route: '/rooms/:room', subscriptions: ['rooms/tea'] })
    const first = await app.realtime.connections({ cluster: true, limit: 2 })
    const second = await app.realtime.connections({ cluster: true, limit: 2, cursor: first.cursor })
    const third =
      second.cursor === undefined
        ? { connections: [] }
        : await app.realtime.connections({ cluster: true, limit: 2, cursor: second.cursor })
    const paged = [first, second, third].flatMap(({ connections }) => connections.map(({ id }) => id))
    t.same(paged.sort(), [...ids].sort())
  }
  t.equal(a.realtime.connections().length, 1)
  await t.rejects(a.realtime.connections({ cluster: true, limit: 0 }), { code: 'FST_RT_INVALID_ARGUMENT' })
  const closed = once(b.server, 'close')
  await b.close()
  await closed
  t.same((await a.realtime.connections({ cluster: true })).connections.length, 1, 'a node that ended is not asked')
})
