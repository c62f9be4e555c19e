import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import Fastify, { type FastifyRequest } from 'fastify'
import t from 'tap'
import type { WebSocket } from 'ws'
import {
  ConnectFailedError,
  connect,
  DeadlineError,
  disposeAll,
  HandshakeRefusedError,
  NotOpenError
} from '../../lib/testing/index.ts'
import { echo, plainApp } from './plain-app.ts'

for (const memory of [false, true]) {
  t.test(memory ? 'in memory' : 'over loopback', async (t) => {
    t.test('connects, exchanges messages and closes', async (t) => {
      const app = await plainApp(t)
      const socket = await connect(app, '/ws?a=1', { memory })
      t.equal(app.server.listening, !memory)
      t.equal(socket.protocol, '')
      t.equal(socket.headers.upgrade, 'websocket')
      socket.send({ hello: 'world' })
      t.same(await socket.next(), { hello: 'world' })
      t.same(await socket.close(4000, 'enough'), { code: 4000, reason: 'enough' })
    })

    t.test('carries a megabyte both ways, whole', async (t) => {
      const app = await plainApp(t)
      const socket = await connect(app, '/ws', { memory })
      const payload = Buffer.alloc(1024 * 1024, 'abcdefghijklmnopqrstuvwxyz')
      for (let count = 0; count < 3; count++) socket.sendRaw(payload)
      for (let count = 0; count < 3; count++) t.ok(payload.equals((await socket.next()) as Buffer))
    })

    t.test('offers the token after the protocol, and the header options', async (t) => {
      const app = await plainApp(t)
      app.addHook('onRequest', async (request) => {
        t.match(request.headers, {
          'sec-websocket-protocol': 'realtime.v1,bearer.a.b.c',
          origin: memory ? 'http://localhost' : `http://${request.headers.host}`,
          'x-test': 'yes'
        })
        t.equal(request.ip, '127.0.0.1')
        t.equal(request.protocol, 'http')
      })
      const socket = await connect(app, '/ws', { memory, token: 'a.b.c', origin: true, headers: { 'x-test': 'yes' } })
      t.equal(socket.protocol, 'realtime.v1')
    })

    t.test('a refusal rejects with what the server said', async (t) => {
      const app = await plainApp(t)
      const error = await connect(app, '/refused', { memory }).catch((error: unknown) => error)
      t.ok(error instanceof HandshakeRefusedError)
      t.match(error, { code: 'FST_RT_TEST_REFUSED', statusCode: 401, body: '{"no":"entry"}' })
      t.match(error, {
        headers: { 'content-type': /application\/json/ },
        message: /refused with 401: \{"no":"entry"\}/
      })
      t.same((error as HandshakeRefusedError).json(), { no: 'entry' })
    })

    t.test('a refusal without a body', async (t) => {
      const app = await plainApp(t)
      app.get('/bare', { websocket: true, onRequest: async (_request, reply) => reply.code(403).send() }, echo)
      await t.rejects(connect(app, '/bare', { memory }), {
        message: 'The handshake was refused with 403: (empty body)'
      })
    })

    t.test('what the server sends in the turn of the handshake is not missed', async (t) => {
      const app = await plainApp(t, (socket) => {
        socket.send('1')
        socket.send('2')
        socket.close(4001, 'bye')
      })
      const socket = await connect(app, '/ws', { memory })
      t.same(await socket.closed(), { code: 4001, reason: 'bye' })
      t.equal(await socket.next(), 1)
      t.equal(await socket.next(), 2)
      await t.rejects(socket.next(), { code: 'FST_RT_TEST_CLOSED', closeCode: 4001, reason: 'bye' })
    })

    t.test('app.close() is not held up by its connections', async (t) => {
      const app = await plainApp(t)
      const sockets = await Promise.all([1, 2, 3].map(() => connect(app, '/ws', { memory })))
      await app.close()
      for (const socket of sockets) t.match(await socket.closed(), { code: 1005 })
    })

    t.test('a cut connection is seen by the other side', async (t) => {
      let serverClosed: Promise<unknown[]> | undefined
      const app = await plainApp(t, (socket) => {
        serverClosed = once(socket, 'close')
        socket.on('message', () => socket.terminate())
      })
      const first = await connect(app, '/ws', { memory })
      t.match(await first.terminate(), { code: 1006 })
      t.equal((await serverClosed)?.[0], 1006)
      const second = await connect(app, '/ws', { memory })
      second.send('cut me')
      t.match(await second.closed(), { code: 1006, reason: '' })
    })

    t.test('disposeAll closes the connections of one app, or all', async (t) => {
      const [one, other] = [await plainApp(t), await plainApp(t)]
      const mine = await connect(one, '/ws', { memory })
      const theirs = await connect(other, '/ws', { memory })
      await disposeAll(one)
      t.match(await mine.closed(), { code: 1000 })
      theirs.send('still open')
      t.equal(await theirs.next(), 'still open')
      await disposeAll()
      t.throws(() => theirs.send('closed'), new NotOpenError())
    })

    t.test('disposal cuts what a server does not close in time', async (t) => {
      let server: WebSocket | undefined
      const app = await plainApp(t, (socket) => {
        server = socket
        socket.pause()
      })
      const socket = await connect(app, '/ws', { memory })
      await socket[Symbol.asyncDispose]()
      t.match(await socket.closed(), { code: 1006 })
      server?.terminate()
    })

    t.test('disposal, as await using does it', async (t) => {
      const app = await plainApp(t)
      const socket = await connect(app, '/ws', { memory })
      await socket[Symbol.asyncDispose]()
      t.match(await socket.closed(), { code: 1000 })
    })

    t.test('a handshake that is never answered meets its deadline', async (t) => {
      const app = await plainApp(t)
      let reached: (request: FastifyRequest) => void = () => undefined
      const asked = new Promise<FastifyRequest>((resolve) => {
        reached = resolve
      })
      app.get('/never', { websocket: true, onRequest: (request: FastifyRequest) => reached(request) }, echo)
      const error = await connect(app, '/never', { memory, timeout: 500 }).catch((error: unknown) => error)
      t.ok(error instanceof DeadlineError)
      t.match(error, { message: 'Waited for the handshake, but nothing came within 500 ms' })
      // Node does not read a socket between its upgrade and the answer: the server can't see that the client has left.
      const { raw } = await asked
      raw.socket.destroy()
    })

    t.test('a connection that is cut before the answer', async (t) => {
      const app = await plainApp(t)
      app.get('/cut', { websocket: true, onRequest: async (request) => void request.raw.socket.destroy() }, echo)
      const error = await connect(app, '/cut', { memory }).catch((error: unknown) => error)
      t.ok(error instanceof ConnectFailedError)
      t.match(error, { code: 'FST_RT_TEST_CONNECT', message: /socket hang up/, cause: { code: 'ECONNRESET' } })
    })

    t.test('over TLS', async (t) => {
      const fixture = (name: string) => readFileSync(join(import.meta.dirname, '..', 'support', 'tls', name))
      const https = { key: fixture('key.pem'), cert: fixture('cert.pem') }
      const app = await plainApp(t, echo, { https } as object)
      app.addHook('onRequest', async (request) => {
        t.equal(request.protocol, 'https')
        t.match(request.headers.origin, /^https:/)
      })
      const socket = await connect(app, '/ws', { memory, origin: true })
      socket.send(1)
      t.equal(await socket.next(), 1)
    })
  })
}

t.test('an app that listens already is reached where it listens', async (t) => {
  const hosts = ['0.0.0.0', '::', '::1', 'localhost']
  for (const host of hosts) {
    const app = await plainApp(t)
    await app.listen({ host, port: 0 })
    const socket = await connect(app, '/ws')
    socket.send(host)
    t.equal(await socket.next(), host)
  }
})

t.test('an app that listens on a path', async (t) => {
  const app = await plainApp(t)
  app.addHook('onRequest', async (request) => t.equal(request.headers.origin, 'http://localhost'))
  await app.listen({ path: join(t.testdir(), 'app.sock') })
  const socket = await connect(app, '/ws?x=1', { origin: true })
  socket.send(1)
  t.equal(await socket.next(), 1)
})

t.test('an app that cannot start', async (t) => {
  const app = Fastify()
  app.register(async () => {
    throw new Error('no database')
  })
  await t.rejects(connect(app, '/ws'), { message: 'no database' })
  await t.rejects(connect(app, '/ws', { memory: true }), { message: 'no database' })
})

t.test('an app that is closed', async (t) => {
  const app = await plainApp(t)
  await connect(app, '/ws')
  await app.close()
  await t.rejects(connect(app, '/ws'), { code: 'FST_ERR_REOPENED_CLOSE_SERVER' })
})

t.test('an app with a type provider fits', async (t) => {
  const app = Fastify().withTypeProvider<TypeBoxTypeProvider>()
  t.teardown(() => app.close())
  await t.rejects(connect(app, '/missing'), { message: /refused with 404/ })
})

t.test('protocols of the test’s own', async (t) => {
  const app = await plainApp(t)
  const offers: unknown[] = []
  app.addHook('onRequest', async (request) => offers.push(request.headers['sec-websocket-protocol']))
  await connect(app, '/ws', { protocols: ['a', 'b'] })
  await connect(app, '/ws', { protocols: ['a'], token: 'x' })
  await connect(app, '/ws')
  t.same(offers, ['a,b', 'a,bearer.x', undefined])
})

t.test('an invalid url rejects', async (t) => {
  await t.rejects(connect(await plainApp(t), '/ws#fragment'), { name: 'SyntaxError' })
})

t.test('a response that breaks off', async (t) => {
  const server = createServer((socket) => {
    socket.on('error', () => undefined)
    socket.once('data', () =>
      socket.write('HTTP/1.1 500 Oops\r\nContent-Length: 9\r\n\r\nhalf', () => socket.destroy())
    )
  })
  t.teardown(() => server.close())
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const app = { server, ready: async () => undefined, listen: async () => '' }
  await t.rejects(connect(app, '/'), { code: 'FST_RT_TEST_CONNECT', message: /aborted/ })
})
