import type { Centrifuge, Subscription } from 'centrifuge'
import type { FastifyInstance } from 'fastify'
import { type Test, test } from 'tap'
import { buildApp } from '../../demo/app.ts'
import { readSettings } from '../../demo/settings.ts'
import { connect, disposeAll, testToken } from '../../lib/testing/index.ts'
import { atLeast, type LogLine } from '../support/app.ts'
import { centrifuge, endpointOf, next, record } from '../support/centrifuge.ts'

const secret = 'the secret of the demo with boards'
const whole = { since: { offset: 0, epoch: '' }, recoverable: true }

async function build(t: Test): Promise<{ app: FastifyInstance; client: (user: string) => Centrifuge }> {
  const logs: LogLine[] = []
  const stream = { write: (line: string) => void logs.push(JSON.parse(line)) }
  const app = await buildApp(readSettings({ JWT_SECRET: secret }), { level: 'trace', stream })
  t.teardown(async () => {
    await disposeAll(app)
    await app.close()
    const [first] = atLeast(logs, 'error')
    if (first !== undefined) throw new Error(`logged at level error: ${JSON.stringify(first)}`)
  })
  const endpoint = await endpointOf(app)
  const client = (user: string) => {
    const made = centrifuge(t, endpoint, { token: testToken({ sub: user }, { secret }) })
    made.connect()
    return made
  }
  return { app, client }
}

/** Waits until that user joins or leaves; a client is told of itself, too. */
async function nextOf(subscription: Subscription, event: 'join' | 'leave', user: string): Promise<void> {
  let context: { info: { user: string } }
  do context = await next(subscription, event)
  while (context.info.user !== user)
}

const stroke = (id: string) => ({ id, colour: 'red', width: 5, points: [0, 0, 0.5, 0.25] })

test('a board is its channel’s history: signed by the server, each stroke once', async (t) => {
  const { app, client } = await build(t)
  const ada = client('ada')
  await ada.publish('boards/one', { ...stroke('a.0'), user: 'grace', clear: 'sly', more: 1 })
  await ada.publish('boards/one', { ...stroke('a.0'), user: 'grace' })
  await ada.publish('boards/one', { undo: 'a', user: 'grace', clear: 'sly' })
  await ada.publish('boards/one', { undo: 'a' })
  const socket = await connect(app, '/ws/boards/one', { token: testToken({ sub: 'lin' }, { secret }) })
  socket.send(stroke('raw'))
  await socket.next()

  const newcomer = client('grace').newSubscription('boards/one', whole)
  const seen = record(newcomer)
  newcomer.subscribe()
  t.same(await seen.upTo(3), [
    { ...stroke('a.0'), user: 'ada' },
    { undo: 'a', user: 'ada' },
    { ...stroke('raw'), user: 'lin' }
  ])
  await ada.publish('boards/one', stroke('a.1'))
  t.match((await seen.upTo(4)).at(-1), { id: 'a.1', user: 'ada' })
  t.match(await socket.next(), { channel: 'boards/one', data: { id: 'a.1', user: 'ada' } })
})

test('what is no stroke is refused, and what nobody may draw on', async (t) => {
  const { app, client } = await build(t)
  const post = (board: string, claims: { sub: string; admin?: boolean }, payload: object) => {
    const headers = { authorization: `Bearer ${testToken(claims, { secret })}` }
    return app.inject({ method: 'POST', url: `/api/boards/${board}/strokes`, headers, payload })
  }
  const ada = client('ada')
  const bad = [
    { ...stroke('a.0'), id: undefined },
    { ...stroke('a.0'), id: 'x'.repeat(65) },
    { ...stroke('a.0'), points: [1] },
    { ...stroke('a.0'), points: Array(1025).fill(0) },
    { ...stroke('a.0'), colour: 5 },
    { undo: '' },
    { undo: 5 },
    { clear: 'all' },
    {}
  ]
  for (const data of bad)
    await t.rejects(ada.publish('boards/one', data), { code: 107 }, JSON.stringify(data).slice(0, 40))
  await t.rejects(ada.publish('boards/a b', stroke('a.0')), { code: 102 })
  await t.rejects(ada.publish('boards/museum', stroke('a.0')), {
    code: 460,
    message: 'this board is only to be looked at'
  })
  await t.rejects(ada.rpc('board.clear', { board: 'museum', id: 'x' }), { code: 460 })
  const socket = await connect(app, '/ws/boards/museum', { token: testToken({ sub: 'ada' }, { secret }) })
  socket.send(stroke('a.0'))
  t.same(await socket.closed(), { code: 4403, reason: 'this board is only to be looked at' })
  t.equal((await post('museum', { sub: 'ada' }, stroke('a.0'))).statusCode, 403)
  t.same((await app.realtime.history('boards/museum')).publications, [], 'by no way at all')
  t.equal((await post('museum', { sub: 'curator', admin: true }, stroke('c.0'))).statusCode, 200)
  await t.rejects(
    ada
      .publish('boards/one', { ...stroke('a.0') })
      .then(() => ada.publish('boards/one', { ...stroke('a.0'), colour: 'blue' })),
    { code: 107 },
    'another stroke of that id'
  )
  const sly = { ...stroke('b.0'), undo: 'a', clear: 'sly', user: 'grace', more: 1 }
  await post('two', { sub: 'ada' }, sly)
  const raw = await connect(app, '/ws/boards/two', { token: testToken({ sub: 'lin' }, { secret }) })
  raw.send(sly)
  await raw.next()
  t.same(
    (await app.realtime.history('boards/two')).publications.map(({ data }) => data),
    [
      { ...stroke('b.0'), user: 'ada' },
      { ...stroke('b.0'), user: 'lin' }
    ],
    'nothing but a stroke, signed'
  )
})

test('board.clear says how many strokes there were, and clears once', async (t) => {
  const { app, client } = await build(t)
  const ada = client('ada')
  const clear = async (id: string, user = ada) => (await user.rpc('board.clear', { board: 'one', id })).data
  t.same(await clear('empty'), { cleared: 0 })
  for (const id of ['a.0', 'a.1', 'b.0', 'c.0']) await ada.publish('boards/one', stroke(id))
  await ada.publish('boards/one', { undo: 'a' })
  await client('grace').publish('boards/one', { undo: 'b' })
  t.same(await clear('first'), { cleared: 2 }, 'what ada took back is not there, what grace could not is')
  t.same(await clear('first'), { cleared: 2 }, 'asked twice')
  await ada.publish('boards/one', stroke('d.0'))
  t.same(await clear('second'), { cleared: 1 })
  const { publications } = await app.realtime.history('boards/one')
  const clears = publications.map(({ data }) => data as { clear?: string }).filter((data) => data.clear !== undefined)
  t.same(clears, [
    { clear: 'empty', user: 'ada' },
    { clear: 'first', user: 'ada' },
    { clear: 'second', user: 'ada' }
  ])
  for (const data of [{ board: 'one' }, { board: 'a b', id: 'x' }, { id: 'x' }, null]) {
    await t.rejects(ada.rpc('board.clear', data), { code: 107 })
  }
})

test('a full board is counted page by page', async (t) => {
  const { app, client } = await build(t)
  const drawn = Array.from({ length: 2_500 }, (_, at) =>
    app.realtime.publish('boards/full', { ...stroke(`s${at}.0`), user: 'ada' })
  )
  await Promise.all(drawn)
  const { data } = await client('ada').rpc('board.clear', { board: 'full', id: 'x' })
  t.same(data, { cleared: 2_500 })
})

test('who is on a board, who comes and who goes', async (t) => {
  const { client } = await build(t)
  const ada = client('ada').newSubscription('boards/one', { joinLeave: true })
  ada.subscribe()
  await ada.ready()
  const joined = nextOf(ada, 'join', 'grace')
  const visitor = client('grace')
  visitor.newSubscription('boards/one').subscribe()
  await joined
  const users = Object.values((await ada.presence()).clients).map(({ user }) => user)
  t.same(users.sort(), ['ada', 'grace'])
  const left = nextOf(ada, 'leave', 'grace')
  visitor.disconnect()
  await left
  t.same(
    Object.values((await ada.presence()).clients).map(({ user }) => user),
    ['ada']
  )
})

test('cursors are passed on, and forgotten', async (t) => {
  const { app, client } = await build(t)
  const ada = client('ada')
  await t.rejects(ada.publish('cursors/one', { at: null }), { code: 103 }, 'for those who are on the board')
  const pointing = ada.newSubscription('cursors/one')
  pointing.subscribe()
  await pointing.ready()
  const watching = client('grace').newSubscription('cursors/one')
  const seen: unknown[] = []
  watching.on('publication', ({ data, info }) => seen.push([info?.user, data]))
  watching.subscribe()
  await watching.ready()
  const second = new Promise<void>((resolve) => watching.on('publication', () => seen.length === 2 && resolve()))
  await ada.publish('cursors/one', { at: [0.5, 0.25], more: 1 })
  await ada.publish('cursors/one', { at: null })
  await second
  t.same(seen, [
    ['ada', { at: [0.5, 0.25] }],
    ['ada', { at: null }]
  ])
  for (const data of [{}, { at: [0.5] }, { at: [0.5, 101] }, { at: [0, 0, 0] }, { at: ['0', 0] }]) {
    await t.rejects(ada.publish('cursors/one', data), { code: 107 })
  }
  t.same((await app.realtime.history('cursors/one')).publications, [])
})
