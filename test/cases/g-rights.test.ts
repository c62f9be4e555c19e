import t from 'tap'
import { forbidden } from '../../lib/index.ts'
import { ERROR } from '../../lib/protocol/channel-errors.ts'
import { testToken } from '../../lib/testing/index.ts'
import { atLeast, buildApp } from '../support/app.ts'
import { centrifuge, endpointOf, next, record } from '../support/centrifuge.ts'
import { connect } from '../support/connect.ts'
import { Speaker } from '../support/speaker.ts'

/* Who may do what on channels, over real connections. The numbers are those of the list of cases. */

const history = { size: 100, ttl: 60_000 }
const denied = { error: ERROR.permissionDenied }
const now = () => Math.floor(Date.now() / 1000)
const refuse = () => {
  throw forbidden()
}

t.test('case 120: without onSubscribe only the server subscribes', async (t) => {
  const { app, logs } = await buildApp(t, {
    channels: { onConnect: ({ user }) => ({ subscriptions: [`users/${user?.sub}`] }) }
  })
  app.channel('users/:user', { history })
  app.channel('news/:id')
  const { epoch } = await app.realtime.publish('users/bob', 'for bob')
  const mallory = await Speaker.open(app, { token: testToken({ sub: 'mallory' }) })
  for (const more of [{}, { recover: true }, { recover: true, offset: 0, epoch }]) {
    t.same(await mallory.call({ subscribe: { channel: 'users/bob', ...more } }), denied)
  }
  for (const name of ['history', 'presence', 'presence_stats', 'publish', 'sub_refresh']) {
    t.ok((await mallory.call({ [name]: { channel: 'users/bob', data: 1 } })).error, name)
  }
  const bob = centrifuge(t, await endpointOf(app), { getToken: async () => testToken({ sub: 'bob' }) })
  const subscribed = next(bob, 'subscribed')
  bob.connect()
  t.match(await subscribed, { channel: 'users/bob' })
  const live = next(bob, 'publication')
  await app.realtime.publish('users/bob', 'live')
  t.match(await live, { channel: 'users/bob', data: 'live' })
  const news = next(bob, 'subscribed')
  await app.realtime.subscribe({ user: 'bob' }, 'news/1')
  t.match(await news, { channel: 'news/1' })
  t.same(
    atLeast(logs, 'warn').map(({ msg, pattern, hook }) => [msg, pattern, hook]),
    [
      ['channel hook missing', 'users/:user', 'onSubscribe'],
      ['channel hook missing', 'users/:user', 'onPublish']
    ]
  )
})

t.test('case 121: a hook that refuses the command refuses it as a part of subscribing too', async (t) => {
  const { app } = await buildApp(t, { channels: { onConnect: () => ({ subscriptions: ['live/made'] }) } })
  const hooks = { onSubscribe: true, onHistory: refuse, onPresence: refuse } as const
  app.channel('live/:x', { history, presence: true, joinLeave: true, ...hooks })
  app.channel('always/:x', { joinLeave: 'always', ...hooks })
  const { epoch } = await app.realtime.publish('live/made', 1)
  await app.realtime.publish('live/made', 2)
  const positions = { made: { recover: true, offset: 1, epoch } }
  const memory = false
  for (const position of [{}, { offset: 0 }, { offset: 1, epoch }]) {
    const mallory = await Speaker.open(app, { memory, token: testToken({ sub: 'mallory' }), connect: false })
    const answer = (await mallory.call({ connect: { subs: { 'live/made': { recover: true, ...position } } } })) as {
      connect: { subs: object }
    }
    t.same(answer.connect.subs, { 'live/made': { was_recovering: true } }, 'of the server')
    const subscribe = { channel: 'live/x', join_leave: true, ...positions.made }
    t.same(await mallory.call({ subscribe }), { subscribe: { was_recovering: true } }, 'of its own')
    t.same(await mallory.call({ subscribe: { channel: 'always/x' } }), { subscribe: {} })
    t.same(await mallory.call({ history: { channel: 'live/x', limit: 10 } }), denied)
    t.same(await mallory.call({ presence: { channel: 'live/x' } }), denied)
    const bob = await Speaker.open(app, { memory, token: testToken({ sub: 'bob' }) })
    for (const channel of ['live/x', 'always/x']) await bob.call({ subscribe: { channel, join_leave: true } })
    await bob.socket.close(1000)
    await app.realtime.publish('live/x', 'after')
    t.match(await mallory.next(), { push: { channel: 'live/x', pub: { data: 'after' } } }, 'no join, no leave')
  }
})

t.test('case 122: who may read may not write by that, and who may write has to be there', async (t) => {
  const { app } = await buildApp(t)
  app.channel('boards/:board', {
    onSubscribe: ({ user, params }) => {
      if (params.board === 'private' && user?.sub !== 'ada') throw forbidden()
    },
    onPublish: true
  })
  const [ada, mallory] = await Promise.all(
    ['ada', 'mallory'].map((sub) => Speaker.open(app, { token: testToken({ sub }) }))
  )
  if (ada === undefined || mallory === undefined) return
  t.same(await ada.call({ subscribe: { channel: 'boards/private' } }), { subscribe: {} })
  t.same(await mallory.call({ subscribe: { channel: 'boards/private' } }), denied)
  t.same(await mallory.call({ publish: { channel: 'boards/private', data: 'drawn by mallory' } }), denied)
  ada.send({ id: 9, publish: { channel: 'boards/private', data: 'drawn by ada' } })
  t.match(await ada.next(), { push: { pub: { data: 'drawn by ada' } } }, 'and nothing before it')
})

t.test('case 124: a slash in an address makes no other channel', async (t) => {
  const { app, logs } = await buildApp(t)
  app.channel('boards/:board')
  app.channel('boards/:board/staff')
  app.ws('/boards/:board', async (socket, request) => {
    const board = app.channelName('boards/:board', request.params as { board: string })
    await socket.subscribe(board)
    socket.sendJson('ready')
    for await (const stroke of socket.messages()) await socket.publish(board, stroke)
  })
  await app.listen({ host: '127.0.0.1', port: 0 })
  const staff = await Speaker.open(app, { token: testToken({ sub: 'ada' }) })
  await app.realtime.subscribe({ user: 'ada' }, 'boards/7/staff')
  await staff.next()
  for (const path of ['/boards/7%2Fstaff', '/boards/7%2fstaff', '/boards/%2e%2e%2Fboards%2F7%2Fstaff']) {
    const mallory = await connect(app, path, { token: testToken({ sub: 'mallory' }) })
    t.match(await mallory.closed(), { code: 4400 }, path)
  }
  const good = await connect(app, '/boards/7', { token: testToken({ sub: 'mallory' }) })
  t.equal(await good.next(), 'ready')
  good.send('mine')
  t.match(await good.next(), { channel: 'boards/7', data: 'mine' })
  await app.realtime.publish('boards/7/staff', 'secret')
  t.match(await staff.next(), { push: { channel: 'boards/7/staff', pub: { data: 'secret' } } }, 'and nothing before it')
  t.same(atLeast(logs, 'error'), [], 'a client’s fault')
  t.equal(logs.filter(({ msg }) => msg === 'channel name refused').length, 3)
})

t.test('case 157: a token that came too late is no end of the subscription', async (t) => {
  const { app } = await buildApp(t)
  let refreshes = 0
  app.channel('tokens/:id', { token: true })
  app.channel('hooks/:id', {
    onSubscribe: () => ({ expiresAt: now() + 3 }),
    onRefresh: () => ({ expiresAt: ++refreshes === 1 ? now() - 5 : now() + 600 })
  })
  const client = centrifuge(t, await endpointOf(app), { getToken: async () => testToken({ sub: 'ada' }) })
  let tokens = 0
  const tokenOf = (channel: string) => async () => {
    const exp = ++tokens === 1 ? now() + 3 : tokens === 2 ? now() - 5 : now() + 600
    return testToken({ sub: 'ada', channel, iat: now() - 30, exp } as never)
  }
  const subscriptions = [
    client.newSubscription('tokens/1', { getToken: tokenOf('tokens/1'), minResubscribeDelay: 20 }),
    client.newSubscription('hooks/1', { getToken: async () => 'any', minResubscribeDelay: 20 })
  ] as const
  const codes: unknown[] = []
  const ends: unknown[] = []
  const again = new Promise<void>((resolve) => {
    for (const subscription of subscriptions) {
      subscription.on('error', ({ error }) => codes.push([subscription.channel, error.code]) === 2 && resolve())
      subscription.on('unsubscribed', (context) => ends.push(context))
      subscription.subscribe()
    }
  })
  client.connect()
  await Promise.all(subscriptions.map((subscription) => subscription.ready()))
  await again
  t.same(codes.sort(), [
    ['hooks/1', ERROR.expired.code],
    ['tokens/1', ERROR.tokenExpired.code]
  ])
  const heard = subscriptions.map(record)
  for (const { channel } of subscriptions) await app.realtime.publish(channel, 'still here')
  for (const each of heard) t.same(await each.upTo(1), ['still here'])
  t.same(ends, [])
})

t.test('case 165: a number that parsing would change is refused, or passed on as it came', async (t) => {
  const said: unknown[] = []
  const seen = (context: { data?: unknown }) => void said.push(context.data)
  const { app } = await buildApp(t, { channels: { onConnect: seen, onMessage: seen } })
  const publication = { type: 'object', properties: { n: { type: 'integer' } } }
  app.channel('plain', { onSubscribe: seen, onPublish: true })
  app.channel('parsed', { onSubscribe: true, onPublish: seen, schema: { publication } })
  app.rpc('echo', ({ data }) => data)
  app.ws('/ws', async (socket) => {
    for await (const message of socket.messages()) socket.sendJson(message)
  })
  const token = testToken({ sub: 'ada' })
  const N = '9007199254740993'
  const socket = await connect(app, '/ws', { token })
  socket.sendRaw(`{"n":${N}}`)
  t.match(await socket.next(), { error: { code: 'invalid_message' } })
  socket.sendRaw('{"n":9007199254740991}')
  t.same(await socket.next(), { n: 9007199254740991 })

  const speaker = await Speaker.open(app, { token, connect: false })
  speaker.raw(`{"id":1,"connect":{"data":${N}}}`)
  t.same(await speaker.next(), { id: 1, error: ERROR.badRequest })
  const client = await Speaker.open(app, { token })
  said.length = 0
  client.raw(`{"send":{"data":${N}}}\n{"id":2,"subscribe":{"channel":"plain","data":${N}}}`)
  t.same(await client.next(), { id: 2, error: ERROR.badRequest })
  client.raw(`{"id":3,"rpc":{"method":"echo","data":{"n":${N}}}}`)
  t.same(await client.next(), { id: 3, error: ERROR.badRequest })
  for (const channel of ['plain', 'parsed']) {
    client.raw(`{"id":4,"subscribe":{"channel":"${channel}"}}`)
    await client.next()
  }
  said.length = 0
  client.raw(`{"id":5,"publish":{"channel":"parsed","data":{"n":${N}}}}`)
  t.same(await client.next(), { id: 5, error: ERROR.badRequest })
  t.same(said, [], 'and nobody was given it')
  client.raw(`{"id":6,"publish":{"channel":"plain","data":{ "n": ${N}, "d": 1.0 }}}`)
  t.match(await client.nextText(), `"data":{ "n": ${N}, "d": 1.0 }`)
})

t.test('case 174: bytes are no JSON, however they are published or sent', async (t) => {
  const { app } = await buildApp(t, { channels: { onConnect: () => ({ data: null }) } })
  const invalid = { code: 'FST_RT_INVALID_DATA' } as never
  const bytes = [Buffer.from('a'), new Uint8Array(3), new Uint16Array(3)]
  app.channel('a', { publishers: 'clients', onPublish: () => ({ data: Buffer.from('a') }) })
  app.rpc('bytes', () => Buffer.from('a'))
  app.ws('/ws', async (socket) => {
    for (const data of bytes) {
      t.throws(() => socket.sendJson(data), invalid)
      await t.rejects(socket.publish('a', data), invalid)
    }
    socket.sendJson('done')
    for await (const _ of socket.messages());
  })
  const socket = await connect(app, '/ws', { token: testToken() })
  t.equal(await socket.next(), 'done')
  for (const data of bytes) await t.rejects(app.realtime.publish('a', data), invalid)
  const speaker = await Speaker.open(app, { token: testToken() })
  t.same(await speaker.call({ publish: { channel: 'a', data: 1 } }), { error: ERROR.internal })
  t.same(await speaker.call({ rpc: { method: 'bytes' } }), { error: ERROR.internal })
})

t.test('case 177: what the published client may ask for and no channel offers', async (t) => {
  const { app } = await buildApp(t)
  app.channel('a/:id', { history, onSubscribe: true, onPublish: true })
  const client = centrifuge(t, await endpointOf(app), { getToken: async () => testToken() })
  client.connect()
  await client.ready()
  const tagged = client.newSubscription('a/1', { tagsFilter: { key: 't', cmp: 'eq', val: 'x' } })
  const filtered = next(tagged, 'unsubscribed')
  tagged.subscribe()
  t.match(await filtered, { code: ERROR.badRequest.code })
  const map = client.newMapSubscription('a/2')
  const mapped = next(map as never, 'unsubscribed')
  map.subscribe()
  t.match(await mapped, { code: ERROR.badRequest.code })
  const poll = client.newSharedPollSubscription('a/3', {
    getSignature: async () => ({ signature: 'x', keys: [] })
  } as never)
  const polled = next(poll as never, 'unsubscribed')
  poll.subscribe()
  t.match(await polled, { code: ERROR.badRequest.code })
  await t.rejects(client.mapPublish('a/4', 'key', 1), { code: ERROR.badRequest.code })
  const delta = client.newSubscription('a/5', { delta: 'fossil' })
  delta.subscribe()
  await delta.ready()
  const heard = record(delta)
  await delta.publish({ n: 1 })
  await delta.publish({ n: 2 })
  t.same(await heard.upTo(2), [{ n: 1 }, { n: 2 }], 'the plain form')
})

t.test('case 183: types are converted as on app.ws, by the compiler of the application', async (t) => {
  const schema = { type: 'object', properties: { n: { type: 'integer' } } }
  for (const coerceTypes of [true, false]) {
    const { app } = await buildApp(t, {}, { fastify: { ajv: { customOptions: { coerceTypes } } } })
    const params = { type: 'object', properties: { id: { type: 'integer' } } }
    const seen: unknown[] = []
    app.channel('a/:id', {
      publishers: 'clients',
      schema: { params, publication: schema },
      onPublish: ({ params, data }) => void seen.push(params, data)
    })
    app.rpc('echo', { schema: { data: schema } }, ({ data }) => data)
    app.ws('/ws', { schema: { message: schema } }, async (socket) => {
      for await (const message of socket.messages()) socket.sendJson(message)
    })
    const socket = await connect(app, '/ws', { token: testToken() })
    socket.send({ n: '5' })
    const speaker = await Speaker.open(app, { token: testToken() })
    const published = await speaker.call({ publish: { channel: 'a/7', data: { n: '5' } } })
    const called = await speaker.call({ rpc: { method: 'echo', data: { n: '5' } } })
    if (coerceTypes) {
      t.same(await socket.next(), { n: 5 })
      t.same(called, { rpc: { data: { n: 5 } } })
      t.same([published, seen], [{ publish: {} }, [{ id: 7 }, { n: 5 }]])
    } else {
      t.match(await socket.next(), { error: { code: 'invalid_message' } })
      t.same(called, { error: ERROR.badRequest })
      t.match(published, { error: {} })
    }
  }
})

t.test('case 176: what is published to a misspelt name is noticed', async (t) => {
  const { app, logs } = await buildApp(t)
  const strays = () =>
    logs.flatMap(({ msg, channel, pattern }) =>
      msg === 'published to no declared channel' ? [[channel, pattern]] : []
    )
  await app.realtime.publish('board/1', 1)
  t.same(strays(), [], 'an application without patterns uses any name')
  app.channel('boards/:board', { onSubscribe: true })
  app.channel('kept/:id', { history })
  app.ws('/ws', async (socket) => {
    await socket.subscribe('undeclared')
    socket.sendJson('ready')
    for await (const _ of socket.messages());
  })
  const socket = await connect(app, '/ws', { token: testToken() })
  await socket.next()
  for (const channel of ['boards/1', 'kept/1', 'undeclared', 'board/1', 'board/1', 'keep/1']) {
    await app.realtime.publish(channel, 1)
  }
  t.same(strays(), [
    ['board/1', 'boards/:board'],
    ['keep/1', 'kept/:id']
  ])
  await socket.close(1000)
})
