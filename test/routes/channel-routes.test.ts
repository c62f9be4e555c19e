import { type TypeBoxTypeProvider, TypeBoxValidatorCompiler } from '@fastify/type-provider-typebox'
import Fastify from 'fastify'
import t from 'tap'
import { Type } from 'typebox'
import realtime, { forbidden } from '../../lib/index.ts'
import { ERROR } from '../../lib/protocol/channel-errors.ts'
import { buildApp } from '../support/app.ts'
import { Speaker } from '../support/speaker.ts'

/* app.channel: how channels are declared, and what becomes of that. Methods: test/rpc-routes.test.ts. */

const memory = true
const code = 'FST_RT_INVALID_CHANNEL_PATTERN'

t.test('patterns that are wrong say how to fix them', async (t) => {
  const { app } = await buildApp(t, { auth: false })
  const channel = app.channel.bind(app) as (pattern: unknown, options?: unknown) => void
  const wrong: [pattern: unknown, message: RegExp][] = [
    ['', /name it/],
    [5, /name it/],
    ['/a', /leave out the slash/],
    ['a/:b(', /./],
    ['rooms:', /:: for a colon/]
  ]
  for (const [pattern, message] of wrong) {
    t.throws(() => channel(pattern, {}), { code, message } as never, String(message))
  }
  t.throws(() => channel('a', null), { code: 'FST_RT_INVALID_OPTION', message: /object/ } as never)
  t.throws(() => channel('a', { onSubscribe: 'yes' }), { code: 'FST_RT_INVALID_OPTION' } as never)
  channel('a', { presence: { ttl: 5_000 } })
  t.throws(() => channel('a', {}), { code } as never, 'declared twice')
})

t.test('a channel with token, on a server that verifies none, is a mistake', async (t) => {
  // A good subscription token was answered with 103, and nothing in the log said why.
  const authenticate = () => ({ sub: 'ada' })
  for (const [auth, message] of [
    [false, /^Option token: with auth: false no token is verified: set the option auth,.* \(app.channel docs\)$/],
    [{ authenticate }, /^Option token: there is nothing to verify a token: give auth.verify, or register @fastify\/jwt/]
  ] as const) {
    const { app } = await buildApp(t, { auth }, { jwt: false })
    t.throws(() => app.channel('docs', { token: true }), { code: 'FST_RT_INVALID_OPTION', message } as never)
    app.channel('docs', { token: false })
  }
  const verify = () => ({ sub: 'ada' })
  for (const [auth, jwt] of [
    [{ verify }, false],
    [{ authenticate }, undefined]
  ] as const) {
    const { app } = await buildApp(t, { auth }, { jwt: jwt as false })
    app.channel('docs', { token: true })
    await app.ready()
  }
})

t.test('one that is declared too late would have no schemas and no hooks', async (t) => {
  const { app } = await buildApp(t, { auth: false })
  app.channel('a')
  await app.ready()
  t.throws(() => app.channel('b'), { code, message: /before the application is ready/ } as never)
  t.throws(() => app.rpc('c', () => 1 as never), { code: 'FST_RT_INVALID_METHOD' } as never)
})

t.test('schemas that do not compile', async (t) => {
  for (const part of ['params', 'publication']) {
    const { app } = await buildApp(t, { auth: false })
    app.channel('a', { schema: { [part]: { type: 'no such type' } } })
    await t.rejects(app.ready() as unknown as Promise<void>, { code, message: new RegExp(`schema.${part}`) } as never)
  }
})

t.test('a scope gives its prefix, itself and its compilers', async (t) => {
  const { app } = await buildApp(t, { auth: false })
  await app.register(
    async (scope) => {
      scope.decorate('greeting', 'hello')
      scope.setValidatorCompiler(TypeBoxValidatorCompiler)
      scope.channel('rooms/:room', {
        schema: { publication: Type.Object({ text: Type.String({ maxLength: 3 }) }) },
        onSubscribe() {
          return { data: (this as unknown as { greeting: string }).greeting }
        },
        onPublish: () => undefined
      })
      scope.rpc('greet', { schema: { data: Type.String() } }, function ({ data }) {
        return `${(this as unknown as { greeting: string }).greeting} ${data}`
      })
    },
    { prefix: '/v1' }
  )
  const speaker = await Speaker.open(app, { memory })
  t.same(await speaker.call({ subscribe: { channel: 'rooms/1' } }), { error: ERROR.unknownChannel })
  t.same(await speaker.call({ subscribe: { channel: 'v1/rooms/1' } }), { subscribe: { data: 'hello' } })
  const publish = (data: unknown) => speaker.call({ publish: { channel: 'v1/rooms/1', data } })
  t.same(await publish({ text: 'long' }), { error: ERROR.badRequest })
  t.same(await speaker.call({ rpc: { method: 'v1/greet', data: 'you' } }), { rpc: { data: 'hello you' } })
  t.same(await speaker.call({ rpc: { method: 'v1/greet', data: 5 } }), { error: ERROR.badRequest })
})

t.test('names are built from patterns, and from nothing that leads to another channel', async (t) => {
  const { app } = await buildApp(t, { auth: false })
  const invalid = { code: 'FST_RT_INVALID_CHANNEL' } as never
  app.channel('boards/:board')
  app.channel('boards/museum')
  app.channel('boards/:board/staff')
  app.channel('files/*')
  app.channel('news')
  app.channel('pairs/:one-:two')
  app.channel('shop/:item/:size?')
  app.channel('a::b/:c')
  app.channel('ids/:id', { schema: { params: { type: 'object', properties: { id: { type: 'integer' } } } } })
  t.equal(app.channelName('boards/:board', { board: '7' }), 'boards/7')
  t.equal(app.channelName('boards/:board', { board: 7 }), 'boards/7')
  t.equal(app.channelName('boards/:board', { board: 'a?b#c%2F' }), 'boards/a?b#c%2F')
  t.equal(app.channelName('boards/:board/staff', { board: '7' }), 'boards/7/staff')
  t.equal(app.channelName('files/*', { '*': 'a/b' }), 'files/a/b')
  t.equal(app.channelName('news'), 'news')
  t.equal(app.channelName('pairs/:one-:two', { one: 'a', two: 'b' }), 'pairs/a-b')
  t.equal(app.channelName('shop/:item/:size?', { item: 'hat' }), 'shop/hat')
  t.equal(app.channelName('shop/:item/:size?', { item: 'hat', size: 'L' }), 'shop/hat/L')
  t.equal(app.channelName('a::b/:c', { c: ':' }), 'a:b/:')
  t.equal(app.channelName('ids/:id', { id: 5 }), 'ids/5', 'before the schemas are compiled')
  for (const board of ['7/staff', '7/', '/7', 'a\u0000', '\ud800', 'museum', 'x'.repeat(250)]) {
    t.throws(() => app.channelName('boards/:board', { board }), invalid, JSON.stringify(board.slice(0, 9)))
  }
  t.throws(() => app.channelName('boards/:board', {} as never), invalid, 'one is missing')
  t.throws(() => app.channelName('files/*', {} as never), invalid)
  t.throws(() => app.channelName('pairs/:one-:two', { one: 'a', two: 'b-c' }), invalid, 'it reads another way')
  t.throws(() => app.channelName('boards/7' as string, {}), { code } as never, 'that is no pattern')
  t.throws(() => (app.channelName as () => string).call(app), { code } as never, 'without a pattern')
  t.throws(() => app.channelName('/files/*' as string, {}), {
    code,
    message: /declared as files\/\*: give that/
  } as never)
  await app.ready()
  t.equal(app.channelName('ids/:id', { id: '5' }), 'ids/5')
  t.throws(() => app.channelName('ids/:id', { id: 'five' }), invalid, 'the schema of its parameters refuses it')
})

t.test('the prefix of a scope, and channels that leave it out', async (t) => {
  const { app } = await buildApp(t, { auth: false })
  app.channel('rooms/:room', { onSubscribe: true })
  await app.register(
    async (scope) => {
      scope.channel('rooms/:room', { onSubscribe: true })
      scope.channel('plain/:id', { prefix: false, onSubscribe: true })
      t.equal(scope.channelName('rooms/:room', { room: 1 }), 'v1/rooms/1')
      t.equal(scope.channelName('plain/:id', { id: 1 }), 'plain/1')
    },
    { prefix: '/v1' }
  )
  t.equal(app.channelName('rooms/:room', { room: 1 }), 'rooms/1')
  t.equal(app.channelName('v1/rooms/:room', { room: 1 }), 'v1/rooms/1')
  const speaker = await Speaker.open(app, { memory })
  for (const channel of ['rooms/1', 'v1/rooms/1', 'plain/1']) {
    t.same(await speaker.call({ subscribe: { channel } }), { subscribe: {} }, channel)
  }
  t.same(await speaker.call({ subscribe: { channel: 'v1/plain/1' } }), { error: ERROR.unknownChannel })
})

t.test('typed by the provider of the application', async (t) => {
  const app = Fastify().setValidatorCompiler(TypeBoxValidatorCompiler).withTypeProvider<TypeBoxTypeProvider>()
  t.teardown(() => app.close())
  await app.register(realtime, { auth: false })
  const Stroke = Type.Object({ points: Type.Array(Type.Number()) })
  app.channel('boards/:board', {
    publishers: 'clients',
    schema: { params: Type.Object({ board: Type.Integer() }), publication: Stroke },
    onPublish: ({ params, data }) => {
      const board: number = params.board
      const points: number[] = data.points
      if (board + points.length > 3) throw forbidden()
      // @ts-expect-error: no such member
      void data.colour
    }
  })
  app.channel('plain/:id', { onSubscribe: ({ params }) => ({ info: params.id satisfies string | undefined }) })
  app.rpc('sum', { schema: { data: Stroke, response: Type.Object({ sum: Type.Number() }) } }, async ({ data }) => ({
    sum: data.points.reduce((sum, point) => sum + point, 0)
  }))
  // @ts-expect-error: the response is another
  app.rpc('wrong', { schema: { response: Type.Object({ sum: Type.Number() }) } }, async () => ({ sum: 'x' }))
  const speaker = await Speaker.open(app, { memory })
  const publish = (channel: string) => speaker.call({ publish: { channel, data: { points: [1, 2] } } })
  t.same(await publish('boards/1'), { publish: {} })
  t.same(await publish('boards/2'), { error: ERROR.permissionDenied })
  t.same(await publish('boards/x'), { error: ERROR.unknownChannel })
  t.same(await speaker.call({ rpc: { method: 'sum', data: { points: [1, 2.5] } } }), { rpc: { data: { sum: 3.5 } } })
  await speaker.socket.close(1000)
})
