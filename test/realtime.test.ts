import { once } from 'node:events'
import t from 'tap'
import { connect, testToken } from '../lib/testing/index.ts'
import { buildApp } from './support/app.ts'

t.test('an HTTP route publishes to sockets', async (t) => {
  const { app } = await buildApp(t)
  app.ws('/boards/:board', async (socket, request) => {
    const { board } = request.params as { board: string }
    await socket.subscribe(`boards/${board}`)
    socket.sendJson('subscribed')
    for await (const stroke of socket.messages()) await socket.publish(`boards/${board}`, stroke)
  })
  app.post('/boards/:board', async (request) => {
    const { board } = request.params as { board: string }
    return app.realtime.publish(`boards/${board}`, request.body)
  })
  const clients = await Promise.all([1, 2].map(() => connect(app, '/boards/a', { token: testToken() })))
  for (const client of clients) t.equal(await client.next(), 'subscribed')
  const response = await app.inject({ method: 'POST', url: '/boards/a', payload: { points: [1, 2] } })
  t.strictSame(response.json(), { offset: 0, epoch: '' })
  clients[0]?.send({ points: [3] })
  for (const client of clients) {
    t.strictSame(await client.next(), { channel: 'boards/a', data: { points: [1, 2] } })
    t.strictSame(await client.next(), { channel: 'boards/a', data: { points: [3] } })
  }
})

t.test('connections are listed, and closed by user or id', async (t) => {
  const { app } = await buildApp(t)
  app.ws('/live', async (socket) => {
    await socket.subscribe('news')
    socket.sendJson('subscribed')
    await once(socket.signal, 'abort')
  })
  const open = async (sub: string) => {
    const client = await connect(app, '/live', { token: testToken({ sub }) })
    await client.next()
    return client
  }
  const [ann, bob, bobToo] = [await open('ann'), await open('bob'), await open('bob')]
  const listed = app.realtime.connections()
  t.match(listed, [
    { user: 'ann', route: '/live', subscriptions: ['news'], bufferedAmount: 0, stats: { messagesOut: 1 } },
    { user: 'bob' },
    { user: 'bob' }
  ])
  await app.realtime.disconnect({ user: 'bob' })
  for (const client of [bob, bobToo]) t.strictSame(await client.closed(), { code: 4403, reason: 'forbidden' })
  await app.realtime.unsubscribe({ user: 'ann' }, 'news')
  await app.realtime.publish('news', 1)
  await ann.expectNothing()
  await app.realtime.refresh({ user: 'ann' }, Math.floor(Date.now() / 1000) - 1)
  t.match(await ann.closed(), { code: 4401 })
})

t.test('ready until the drain', async (t) => {
  const { app } = await buildApp(t, { drain: { window: 0, timeout: 100 } })
  await app.ready()
  t.equal(app.realtime.ready(), true)
  t.match(await app.realtime.drain(), { closed: 0, terminated: 0 })
  t.equal(app.realtime.draining, true)
  t.equal(app.realtime.ready(), false)
})
