import t from 'tap'
import { connect, testToken } from '../../lib/testing/index.ts'
import { atLeast, buildApp, holdsNoToken } from '../support/app.ts'
import { rawUpgrade } from '../support/raw-socket.ts'

/* The harness with the plugin itself. What the plugin does is tested elsewhere; here both have to fit. */

for (const memory of [false, true]) {
  t.test(memory ? 'in memory' : 'over loopback', async (t) => {
    t.test('the token is accepted, and stands nowhere', async (t) => {
      const { app, logs } = await buildApp(t)
      app.ws('/echo', {}, async (socket) => {
        for await (const message of socket.messages()) socket.sendJson({ echo: message, from: socket.user?.sub })
      })
      const token = testToken({ sub: 'ada' })
      const socket = await connect(app, '/echo', { token, memory })
      t.equal(socket.protocol, 'realtime.v1')
      socket.send({ a: 1 })
      t.same(await socket.next(), { echo: { a: 1 }, from: 'ada' })
      await socket.expectNothing()
      const closed = await socket.close(1000)
      t.same(closed, { code: 1000, reason: '' })
      holdsNoToken(t, token, logs, closed, socket.headers)
      t.same(atLeast(logs, 'warn'), [])
    })

    t.test('expectNothing sees what is flushed at the end of a turn', async (t) => {
      const { app } = await buildApp(t, { auth: false })
      app.ws('/room', {}, async (socket) => {
        await socket.subscribe('room')
        for await (const message of socket.messages()) await socket.publish('room', message)
      })
      const [speaker, listener] = await Promise.all([1, 2].map(() => connect(app, '/room', { memory })))
      await Promise.all([speaker?.expectNothing(), listener?.expectNothing()])
      speaker?.send('hello')
      t.match(await speaker?.next(), { channel: 'room', data: 'hello' })
      await t.rejects(listener?.expectNothing() as Promise<void>, { code: 'FST_RT_TEST_UNEXPECTED_MESSAGE' })
    })

    t.test('a refusal by status, and by close code to a browser', async (t) => {
      const { app, logs } = await buildApp(t)
      app.ws('/echo', {}, async () => undefined)
      const token = testToken({}, { expiresIn: -60_000 })
      const error = await connect(app, '/echo', { token, memory }).catch((error: unknown) => error)
      t.match(error, { code: 'FST_RT_TEST_REFUSED', statusCode: 401 })
      const socket = await connect(app, '/echo', { token, memory, origin: true })
      const closed = await socket.closed()
      t.equal(closed.code, 4401)
      holdsNoToken(t, token, logs, closed, error)
    })

    t.test('the drain is not held up', async (t) => {
      const { app } = await buildApp(t)
      app.ws('/wait', {}, async (socket) => {
        for await (const _message of socket.messages());
      })
      const socket = await connect(app, '/wait', { token: testToken(), memory })
      const closing = app.close()
      t.match(await socket.next(), { notice: { code: 'draining' } })
      t.match(await socket.closed(), { code: 1012 })
      await closing
    })
  })
}

t.test('a token of the app’s own signer', async (t) => {
  const { app } = await buildApp(t, {}, { jwt: { secret: 'the app’s own', sign: { algorithm: 'HS384' } } })
  app.ws('/who', {}, async (socket) => socket.sendJson(socket.user?.sub))
  const socket = await connect(app, '/who', { token: await testToken(app, { sub: 'grace' }) })
  t.equal(await socket.next(), 'grace')
  t.match(await socket.closed(), { code: 1000 })
})

t.test('an app without @fastify/jwt', async (t) => {
  const { app } = await buildApp(t, { auth: false }, { jwt: false })
  app.ws('/anyone', {}, async (socket) => socket.sendJson(socket.user ?? 'nobody'))
  const socket = await connect(app, '/anyone')
  t.equal(await socket.next(), 'nobody')
})

t.test('what a raw client leaves open does not hold up the end of a test', async (t) => {
  const { app } = await buildApp(t, { auth: false })
  app.ws('/wait', {}, async (socket) => {
    for await (const _message of socket.messages());
  })
  const port = Number(new URL(await app.listen({ host: '127.0.0.1', port: 0 })).port)
  const socket = await rawUpgrade(port, { path: '/wait' })
  t.equal(socket.response.statusCode, 101)
})

t.test('holdsNoToken finds one', (t) => {
  const found: unknown[] = []
  const token = testToken()
  holdsNoToken({ notOk: (value) => found.push(value) }, token, [{ req: { url: `/ws?access_token=${token}` } }])
  holdsNoToken({ notOk: (value) => found.push(value) }, token, [{ req: { url: '/ws' } }])
  t.match(found, [/access_token/, false])
  t.end()
})
