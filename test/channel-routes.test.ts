import { type TypeBoxTypeProvider, TypeBoxValidatorCompiler } from '@fastify/type-provider-typebox'
import Fastify from 'fastify'
import t from 'tap'
import { Type } from 'typebox'
import realtime, { forbidden } from '../lib/index.ts'
import { ERROR } from '../lib/protocol/channel-errors.ts'
import { connect } from '../lib/testing/index.ts'
import { atLeast, buildApp } from './support/app.ts'
import { Speaker } from './support/speaker.ts'

/* app.channel and app.rpc: how they are declared, and what becomes of that. */

const memory = true
const code = 'FST_RT_INVALID_CHANNEL_PATTERN'

t.test('declarations that are wrong say how to mend them', async (t) => {
  const { app } = await buildApp(t, { auth: false })
  const channel = app.channel.bind(app) as (pattern: unknown, options?: unknown) => void
  const wrong: [unknown, unknown, RegExp][] = [
    ['', {}, /name it/],
    [5, {}, /name it/],
    ['a', 5, /object/],
    ['a', null, /object/],
    ['a', { histroy: {} }, /no option histroy/],
    ['a', { history: { size: 0, ttl: 1_000 } }, /history\.size/],
    ['a', { history: { size: 1 } }, /history\.ttl/],
    ['a', { presence: 'yes' }, /presence/],
    ['a', { presence: null }, /presence/],
    ['a', { presence: { ttl: 5 } }, /presence\.ttl/],
    ['a', { joinLeave: 1 }, /joinLeave/],
    ['a', { token: 'x' }, /token/],
    ['a', { onSubscribe: true }, /onSubscribe/],
    ['a', { schema: 5 }, /schema/],
    ['a', { schema: { data: {} } }, /schema\.data/],
    ['a/:b(', {}, /./]
  ]
  for (const [pattern, options, message] of wrong) {
    t.throws(() => channel(pattern, options), { code, message } as never, String(message))
  }
  channel('a', { presence: { ttl: 5_000 } })
  t.throws(() => channel('a', {}), { code } as never, 'declared twice')

  const rpc = app.rpc.bind(app) as (...args: unknown[]) => void
  const method = 'FST_RT_INVALID_METHOD'
  rpc('a', () => 1)
  for (const args of [
    ['', () => 1],
    [5, () => 1],
    ['b'],
    ['b', {}],
    ['b', 5, () => 1],
    ['b', null, () => 1],
    ['a', () => 1],
    ['b', { schema: { x: 1 } }, () => 1]
  ]) {
    t.throws(() => rpc(...args), { code: method } as never)
  }
})

t.test('schemas that do not compile', async (t) => {
  const schema = { type: 'no such type' }
  const one = await buildApp(t, { auth: false })
  one.app.channel('a', { schema: { publication: schema } })
  await t.rejects(one.app.ready() as unknown as Promise<void>, { code } as never)
  for (const part of ['data', 'response']) {
    const { app } = await buildApp(t, { auth: false })
    app.rpc('a', { schema: { [part]: part === 'data' ? schema : { $ref: 'nowhere#' } } }, () => 1 as never)
    await t.rejects(app.ready() as unknown as Promise<void>, { code: 'FST_RT_INVALID_METHOD' } as never)
  }
})

t.test('there is an endpoint once there is something to speak about, where the option says', async (t) => {
  const { app: without } = await buildApp(t, { auth: false })
  t.match(await connect(without, '/connection/websocket', { memory }).catch((error) => error), { statusCode: 404 })
  const { app } = await buildApp(t, { auth: false, channels: { url: '/live' } })
  app.rpc('a', () => 1)
  app.channel('b')
  await t.resolves(connect(app, '/live', { memory }))
  const response = await app.inject('/live')
  t.equal(response.statusCode, 426)
  t.match(response.headers, { upgrade: 'websocket' })
  t.match(response.json(), { code: 'FST_RT_UPGRADE_REQUIRED' })
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

t.test('typed by the provider of the application', async (t) => {
  const app = Fastify().setValidatorCompiler(TypeBoxValidatorCompiler).withTypeProvider<TypeBoxTypeProvider>()
  t.teardown(() => app.close())
  await app.register(realtime, { auth: false })
  const Stroke = Type.Object({ points: Type.Array(Type.Number()) })
  app.channel('boards/:board', {
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

t.test('what clients publish goes out as it came, or as the hook says', async (t) => {
  const { app, logs } = await buildApp(t, { auth: false })
  const history = { size: 100, ttl: 60_000 }
  app.channel('raw', { history, onPublish: () => undefined })
  app.channel('changed', { history, onPublish: ({ data }) => ({ data: { was: data } }) })
  app.channel('broken', { onPublish: () => ({ data: 1n }) })
  app.channel('schema', {
    schema: { publication: { type: 'object', properties: { n: { type: 'number', default: 5 } } } },
    onPublish: () => undefined
  })
  app.channel('once', { history, onPublish: ({ data }) => ({ idempotencyKey: (data as { key: string }).key }) })
  const speaker = await Speaker.open(app, { memory })
  const id = app.realtime.connections()[0]?.id
  for (const channel of ['raw', 'changed', 'schema', 'once']) await speaker.call({ subscribe: { channel } })
  const heard = async (channel: string, data: string) => {
    speaker.raw(`{"id":9,"publish":{"channel":"${channel}","data":${data}}}`)
    const lines = [await speaker.nextText(), await speaker.nextText()]
    return lines.find((line) => line.startsWith('{"push"'))
  }
  const exact = '{"z": 1.0, "a":9007199254740993,"<b>":"\\u003cscript>\u2028 ü"}'
  const info = `"info":{"user":"","client":"${id}"}`
  t.equal(await heard('raw', exact), `{"push":{"channel":"raw","pub":{"data":${exact},"offset":1,${info}}}}`)
  t.equal(await heard('changed', '1'), `{"push":{"channel":"changed","pub":{"data":{"was":1},"offset":1,${info}}}}`)
  t.equal(await heard('schema', '{}'), `{"push":{"channel":"schema","pub":{"data":{"n":5},${info}}}}`)
  t.match(await heard('once', '{"key":"k"}'), /"offset":1/)
  t.same(await speaker.call({ publish: { channel: 'once', data: { key: 'k' } } }).catch(() => 'again'), { publish: {} })
  await app.realtime.publish('once', { key: 'k' }, { idempotencyKey: 'k' })
  t.match(await speaker.next(), { push: { pub: { offset: 2 } } })
  t.same(await speaker.call({ publish: { channel: 'once', data: { key: 'k', other: true } } }), {
    error: ERROR.badRequest
  })
  t.same(await speaker.call({ publish: { channel: 'broken', data: 1 } }), { error: ERROR.internal })
  t.equal(atLeast(logs, 'error').length, 1)
  t.match(await app.realtime.history('raw', { reverse: true }), { publications: [{ offset: 1 }], offset: 1 })
  t.match(await app.realtime.history('raw', { since: { offset: 1, epoch: '' } }), { publications: [] })
  for (const call of ['history', 'presence', 'presenceStats'] as const) {
    await t.rejects(app.realtime[call]('\u0000') as Promise<unknown>, { code: 'FST_RT_INVALID_CHANNEL' } as never)
  }
})

t.test('large answers come in pages, and in pushes', async (t) => {
  const { app } = await buildApp(t, { auth: false, limits: { buffered: { soft: 1_024, hard: 40_000 } } })
  app.channel('large', { history: { size: 100, ttl: 60_000 } })
  const { epoch } = await app.realtime.publish('large', 'first')
  for (let n = 0; n < 10; n++) await app.realtime.publish('large', 'x'.repeat(10_000))
  const speaker = await Speaker.open(app, { memory })
  const { subscribe } = (await speaker.call({ subscribe: { channel: 'large', recover: true, epoch, offset: 1 } })) as {
    subscribe: { recovered: boolean; publications: { offset: number }[] }
  }
  t.equal(subscribe.recovered, true)
  const offsets = subscribe.publications.map(({ offset }) => offset)
  t.ok(offsets.length < 10)
  while (offsets.length < 10) {
    offsets.push((await speaker.next<{ push: { pub: { offset: number } } }>()).push.pub.offset)
  }
  t.same(offsets, [2, 3, 4, 5, 6, 7, 8, 9, 10, 11])
  const { history } = (await speaker.call({ history: { channel: 'large', limit: -1 } })) as {
    history: { publications: object[]; offset: number }
  }
  t.ok(history.publications.length < 10)
  t.equal(history.offset, 11)
})
