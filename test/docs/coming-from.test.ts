import { join } from 'node:path'
import process from 'node:process'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { connect, disposeAll, type TestSocket, testSecret, testToken } from '../../lib/testing/index.ts'
import { buildApp } from '../support/app.ts'
import { Speaker } from '../support/speaker.ts'
import { type Example, examples, root } from './pages.ts'

/* The examples of the pages for those who come from elsewhere: each thing that they show is tried. */

process.env.JWT_SECRET = testSecret

async function load<Exports>(t: Test, example: Example | undefined): Promise<Exports> {
  const local = (example as Example).source.replace(/'fastify-realtime'/g, `'${join(root, 'lib/index.ts')}'`)
  return (await import(join(t.testdir({ 'example.ts': local }), 'example.ts'))) as Exports
}

const as = (sub: string) => ({ token: testToken({ sub }) })

t.test('docs/from-socket-io.md', async (t) => {
  type On<Result> = (app: FastifyInstance, ...args: string[]) => Promise<Result>
  const { chat, announce, who, leaveAll, close, everybody } = await load<{
    chat: On<void>
    announce: On<void>
    who: On<{ user: string }[]>
    leaveAll: On<void>
    close: On<void>
    everybody: On<{ connections: { user: string }[] }>
  }>(t, examples('docs/from-socket-io.md', ['ts'])[0])
  const { app } = await buildApp(t)
  await chat(app)

  const enter = async (sub: string): Promise<TestSocket> => {
    const socket = await connect(app, '/rooms/tea', as(sub))
    const { id, request } = (await socket.next()) as { id: number; request: unknown }
    t.equal(request, 'your name?')
    socket.send({ id, reply: sub.toUpperCase() })
    t.same(await socket.next(), { welcome: sub.toUpperCase() }, 'emitWithAck')
    return socket
  }
  const [ada, bob] = [await enter('ada'), await enter('bob')]
  t.match(await (await connect(app, '/rooms/tea', as('mallory'))).closed(), { code: 4403 })

  ada.send('to all but me')
  t.match(await bob.next(), { channel: 'rooms/tea', data: 'to all but me', offset: 1 })
  await announce(app, 'tea', 'to all')
  for (const socket of [ada, bob]) t.match(await socket.next(), { data: { text: 'to all' }, offset: 2 })
  bob.send({ id: 7, request: 'milk' })
  t.same(await bob.next(), { id: 7, reply: { received: 'milk' } }, 'an acknowledgement')
  t.same((await who(app, 'tea')).map(({ user }) => user).sort(), ['ada', 'bob'])
  t.same((await everybody(app)).connections.map(({ user }) => user).sort(), ['ada', 'bob'])

  // The rights of a room's channel are those of its route: clients of channels have none.
  const speaker = await Speaker.open(app, as('mallory'))
  for (const request of [{ subscribe: { channel: 'rooms/tea' } }, { presence: { channel: 'rooms/tea' } }]) {
    t.match(await speaker.call(request), { error: { code: 103 } })
  }
  await speaker.socket.close()

  await close(app, 'tea')
  for (const socket of [ada, bob]) t.same(await socket.closed(), { code: 4000, reason: 'closed' })
  const again = await enter('ada')
  await leaveAll(app, 'tea')
  await announce(app, 'tea', 'to nobody')
  await again.expectNothing()
  t.same(await who(app, 'tea'), [])
})

t.test('docs/from-fastify-websocket.md', async (t) => {
  const [first, second] = examples('docs/from-fastify-websocket.md', ['ts'])
  const { build } = await load<{ build(): Promise<FastifyInstance> }>(t, first)
  const app = await build()
  t.teardown(async () => {
    await disposeAll(app)
    await app.close()
  })
  t.match(await connect(app, '/echo').catch((error) => error), { statusCode: 401 }, 'a token is needed')
  const echo = await connect(app, '/echo', as('ada'))
  echo.sendRaw('as it was')
  t.equal((await echo.nextRaw()).data.toString(), 'as it was')
  await t.test('step 2', async (t) => {
    const { news } = await load<{ news(app: FastifyInstance): Promise<void> }>(t, second)
    const { app } = await buildApp(t)
    await news(app)
    const [one, other] = [await connect(app, '/news', as('ada')), await connect(app, '/news', as('bob'))]
    one.send({ text: 5, more: 'and validated' })
    one.send({})
    for (const socket of [one, other]) t.match(await socket.next(), { channel: 'news', data: { text: '5' } })
    t.match(await one.next(), { error: { code: 'invalid_message' } })
  })
})

t.test('docs/from-fastapi.md', async (t) => {
  const [example] = examples('docs/from-fastapi.md', ['ts'])
  const { chat } = await load<{ chat(app: FastifyInstance): Promise<void> }>(t, example)
  const { app } = await buildApp(t)
  await chat(app)
  const ada = await connect(app, '/chat', as('ada'))
  ada.send({ text: 'hello?' })
  t.match(await ada.next(), { data: { from: 'ada', message: { text: 'hello?' } } })
  const bob = await connect(app, '/chat', as('bob'))
  t.match(await ada.next(), { data: { from: 'bob', joined: true } })
  bob.send({ text: 'hi' })
  for (const socket of [ada, bob]) t.match(await socket.next(), { data: { from: 'bob', message: { text: 'hi' } } })
  t.same((await app.realtime.presence('chat')).map(({ user }) => user).sort(), ['ada', 'bob'])
  await bob.close()
  t.match(await ada.next(), { data: { from: 'bob', left: true } })
})
