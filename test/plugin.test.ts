import { once } from 'node:events'
import type { Server } from 'node:http'
import net, { type AddressInfo } from 'node:net'
import jwt from '@fastify/jwt'
import websocket from '@fastify/websocket'
import Fastify, { type FastifyInstance } from 'fastify'
import t from 'tap'
import { otherServersOf } from '../lib/dependencies.ts'
import realtime from '../lib/index.ts'
import { connect, disposeAll, testSecret, testToken } from '../lib/testing/index.ts'
import { withTwoAddresses } from './support/addresses.ts'
import { atLeast, buildApp, holdsNoToken } from './support/app.ts'
import { closingFrame, rawUpgrade } from './support/raw-socket.ts'

/* How the plugin is registered, and what it makes of an application that has @fastify/websocket already. */

const anonymous = { auth: false } as const

t.test('registered in a way that cannot work, it says what to do', async (t) => {
  const register = (declare: (app: FastifyInstance) => unknown) => {
    const app = Fastify()
    t.teardown(() => app.close())
    return (async () => {
      await declare(app)
      await app.ready()
    })()
  }

  t.test('F112: twice', async (t) => {
    const error = { code: 'FST_RT_ALREADY_REGISTERED', message: /Register it once/ }
    await t.rejects(
      register(async (app) => {
        await app.register(realtime, anonymous)
        await app.register(realtime, anonymous)
      }),
      error
    )
    await t.rejects(
      register(async (app) => {
        await app.register(realtime, anonymous)
        app.register(async (child) => child.register(realtime, anonymous))
      }),
      error
    )
  })

  t.test('case 166: twice on one server, in scopes that do not see each other', async (t) => {
    const siblings = register((app) => {
      for (let i = 0; i < 2; i++) app.register(async (child) => child.register(realtime, anonymous))
    })
    await t.rejects(siblings, { code: 'FST_RT_ALREADY_REGISTERED', message: /outermost scope/ })
  })

  t.test('case 184: @fastify/websocket after it', async (t) => {
    const message = /^@fastify\/websocket: .* Leave yours out, or register it before/
    for (const plugin of [websocket, import('@fastify/websocket')]) {
      const late = register((app) => {
        app.register(realtime, anonymous)
        app.register(async (child) => child.register(plugin as typeof websocket))
      })
      await t.rejects(late, { code: 'FST_RT_DEPENDENCY', message })
    }
  })

  t.test('without a way to verify tokens', async (t) => {
    await t.rejects(
      register((app) => app.register(realtime)),
      { code: 'FST_RT_NO_AUTHENTICATION', message: /@fastify\/jwt.*auth\.verify.*auth: false/ }
    )
    await register((app) => app.register(realtime, { auth: { verify: () => ({ sub: 'ada', exp: 1 }) } }))
    await register((app) => app.register(jwt, { secret: testSecret }).register(realtime))
  })

  t.test('with options that are none', async (t) => {
    const bad: [options: object, message: RegExp][] = [
      [{ hearbeat: {} }, /hearbeat: unknown option; use one of .*heartbeat/],
      [{ prefix: '/api' }, /prefix/],
      [{ heartbeat: { interval: '25s' } }, /heartbeat\.interval: give a whole number from 50/],
      [{ auth: true }, /auth: give an object/]
    ]
    for (const [options, message] of bad) {
      await t.rejects(
        register((app) => app.register(realtime, { ...anonymous, ...options } as object)),
        { code: 'FST_RT_INVALID_OPTION', message }
      )
    }
  })

  t.test('a fault in another plugin is not swallowed', async (t) => {
    const failing = register(async (app) => {
      await app.register(realtime, anonymous)
      app.register(async () => {
        throw new Error('a fault of another')
      })
      app.ws('/ws', {}, async () => undefined)
    })
    await t.rejects(failing, { message: 'a fault of another' })
  })
})

t.test('F112: it closes', async (t) => {
  t.test('twice', async (t) => {
    const { app } = await buildApp(t, anonymous)
    app.ws('/ws', {}, async (socket) => {
      for await (const _ of socket.messages());
    })
    const socket = await connect(app, '/ws')
    const closing = [app.close(), app.close()]
    t.match(await socket.next(), { notice: { code: 'draining' } })
    t.match(await socket.closed(), { code: 1012 })
    await Promise.all(closing)
  })

  t.test('before it is ready', async () => {
    const app = Fastify()
    app.register(realtime, anonymous)
    await app.close()
  })

  t.test('when it listens on every address of localhost', async (t) => {
    const { app } = await buildApp(t, anonymous)
    app.ws('/ws', {}, async (socket) => {
      for await (const message of socket.messages()) socket.sendJson(message)
    })
    await app.listen({ host: 'localhost', port: 0 })
    const addresses = app.addresses() as AddressInfo[]
    const port = addresses[0]?.port as number
    const sockets = await Promise.all(addresses.map(({ address }) => rawUpgrade(port, { host: address, path: '/ws' })))
    const closing = app.close()
    for (const socket of sockets) {
      t.equal(socket.response.statusCode, 101)
      t.equal((await socket.closeFrame()).code, 1012)
      socket.write(closingFrame(1012))
      await socket.ended()
      socket.end()
    }
    await closing
  })
})

t.test('draining', async (t) => {
  const open = async (t: Parameters<typeof buildApp>[0], before?: (app: FastifyInstance) => unknown) => {
    const { app, logs } = await buildApp(t, { ...anonymous, drain: { delay: 300 } }, { before })
    app.ws('/ws', {}, async (socket) => {
      for await (const message of socket.messages()) socket.sendJson(message)
    })
    app.get('/raw', { websocket: true }, (socket) => {
      socket.on('message', (data) => socket.send(String(data)))
    })
    app.get('/plain', () => 'plain')
    await app.listen({ host: '127.0.0.1', port: 0 })
    return { app, logs, port: (app.server.address() as { port: number }).port }
  }

  t.test('F108: an upgrade meanwhile is a 503 with Retry-After, whose connection ends', async (t) => {
    const { app, port } = await open(t)
    const socket = await connect(app, '/ws')
    const drained = app.realtime.drain()
    t.equal(app.realtime.draining, true)
    t.equal(app.realtime.ready(), false)
    for (const headers of [{}, { Origin: `http://127.0.0.1:${port}` }]) {
      const late = await rawUpgrade(port, { path: '/ws', headers })
      t.equal(late.response.statusCode, 503)
      t.match(late.response.headers, { 'retry-after': /^([1-9]|10)$/, connection: 'close' })
      t.match(JSON.parse(late.response.body), { statusCode: 503, code: 'FST_RT_DRAINING' })
      await late.ended()
      late.destroy()
    }
    t.match(await socket.closed(), { code: 1012 })
    t.match(await drained, { closed: 1, terminated: 0 })
    t.equal((await app.inject('/plain')).statusCode, 200, 'plain routes go on until the close')
  })

  for (const where of ['token is verified', 'own hook runs']) {
    t.test(`F109: a handshake whose ${where} when the drain begins is a 503`, async (t) => {
      let reached: () => void = () => undefined
      let release: () => void = () => undefined
      const entered = new Promise<void>((resolve) => {
        reached = resolve
      })
      const held = new Promise<void>((resolve) => {
        release = resolve
      })
      const wait = async (is: boolean) => {
        if (is) reached()
        if (is) await held
      }
      const verify = async () => {
        await wait(where === 'token is verified')
        return { sub: 'ada', exp: Date.now() / 1000 + 60 }
      }
      const { app } = await buildApp(t, { auth: { verify } }, { jwt: false })
      app.ws('/ws', { preHandler: async () => wait(where === 'own hook runs') }, async () => undefined)
      await app.listen({ host: '127.0.0.1', port: 0 })
      const port = (app.server.address() as AddressInfo).port
      const handshake = rawUpgrade(port, { path: '/ws', protocols: ['realtime.v1', 'bearer.token'] })
      await entered
      const drained = app.realtime.drain()
      release()
      const { response } = await handshake
      t.equal(response.statusCode, 503)
      t.match(response.headers, { 'retry-after': /^\d+$/ })
      t.match(JSON.parse(response.body), { code: 'FST_RT_DRAINING' })
      t.match(await drained, { closed: 0, terminated: 0 })
    })
  }

  for (const [how, options] of Object.entries({
    'as it comes': {},
    'with its own preClose': { preClose: (done: () => void) => done() }
  })) {
    t.test(
      `@fastify/websocket registered by the application before, ${how}: the same handshake and drain`,
      async (t) => {
        const { app, logs, port } = await open(t, (app) => app.register(websocket, options as object))
        const sockets = await Promise.all(['/ws', '/raw'].map((path) => connect(app, path)))
        for (const socket of sockets) {
          socket.sendRaw('1')
          t.equal(await socket.next(), 1)
        }
        const faulty = await rawUpgrade(port, { path: '/raw' })
        faulty.send({ opcode: 3 })
        t.equal((await faulty.closeFrame()).code, 1002, 'its error handler does not cut off the close frame')
        faulty.destroy()

        const start = performance.now()
        const closing = app.close()
        const codes = await Promise.all(sockets.map((socket) => socket.closed()))
        t.match(codes, [{ code: 1012 }, { code: 1012 }], 'nobody is closed without a code')
        t.ok(performance.now() - start >= 290, 'not before the delay is over')
        await closing
        t.same(atLeast(logs, 'warn'), [])
      }
    )
  }

  t.test('an unresponsive client holds up the close for two seconds, not thirty', async (t) => {
    for (const before of [undefined, (app: FastifyInstance) => app.register(websocket)]) {
      const { app, port } = await open(t, before)
      const deaf = await rawUpgrade(port, { path: '/ws' })
      t.equal(deaf.response.statusCode, 101)
      const start = performance.now()
      await app.close()
      // It takes four seconds; the bound only has to tell them from thirty.
      t.ok(performance.now() - start < 20_000)
      deaf.destroy()
    }
  })
})

t.test('a handler of a plain route that fails ends its own connection only', async (t) => {
  const { app, logs } = await buildApp(t, anonymous)
  app.get('/throws', { websocket: true }, () => {
    throw new Error('a fault')
  })
  app.get('/rejects', { websocket: true }, async () => {
    await Promise.reject(new Error('a fault'))
  })
  app.get('/fine', { websocket: true }, (socket) => {
    socket.on('message', (data) => socket.send(String(data)))
  })
  const fine = await connect(app, '/fine')
  for (const path of ['/throws', '/rejects']) {
    logs.length = 0
    const socket = await connect(app, path)
    t.match(await socket.closed(), { code: 1011, reason: 'internal error' })
    t.match(atLeast(logs, 'error'), [{ err: { message: 'a fault' }, msg: 'socket handler failed' }])
  }
  fine.sendRaw('still here')
  t.equal(await fine.next(), 'still here')
})

t.test('injectWS() reaches a route as before', async (t) => {
  const { app } = await buildApp(t, anonymous)
  app.get('/raw', { websocket: true }, (socket) => {
    socket.on('message', (data) => socket.send(String(data)))
  })
  await app.ready()
  const client = await app.injectWS('/raw')
  client.send('hello')
  const [data] = await once(client, 'message')
  t.equal(String(data), 'hello')
  client.terminate()
})

t.test('a registration without a metrics registry, with a token in the header', async (t) => {
  const app = Fastify()
  t.teardown(async () => {
    await disposeAll(app)
    await app.close()
  })
  app.register(jwt, { secret: testSecret })
  app.register(realtime)
  app.after(() => {
    app.ws('/who', async (socket, request) => socket.sendJson([socket.user?.sub, request.ip]))
  })
  const socket = await connect(app, '/who', { headers: { authorization: `Bearer ${testToken({ sub: 'ada' })}` } })
  t.same(await socket.next(), ['ada', '127.0.0.1'])
  t.match(await socket.closed(), { code: 1000, reason: 'done' })
})

t.test('a drain that outlasts pluginTimeout is no failure of app.close()', async (t) => {
  const drain = { window: 2_400, timeout: 6_000 }
  const { app } = await buildApp(t, { auth: false, drain }, { fastify: { pluginTimeout: 1_000 } })
  app.ws('/live', async (socket) => {
    for await (const message of socket.messages()) socket.sendJson(message)
  })
  const clients = await Promise.all(Array.from({ length: 12 }, () => connect(app, '/live')))
  const closing = app.close()
  for (const client of clients) t.match(await client.closed(), { code: 1012 })
  await t.resolves(closing)
})

t.test('app.close() takes a callback, too', async (t) => {
  const { app } = await buildApp(t, { auth: false })
  await app.ready()
  await new Promise<void>((resolve) => app.close(() => resolve()))
  t.equal(app.realtime.draining, true)
})

t.test('what was sent before the notice of a drain was seen is answered', async (t) => {
  const { app } = await buildApp(t, { auth: false, limits: { messages: false } })
  app.ws('/live', async (socket) => {
    for await (const message of socket.messages()) socket.sendJson(message)
  })
  const client = await connect(app, '/live')
  client.raw.on('message', (data) => {
    // At the moment of the notice, before its ping is answered: the server has not read these.
    if (String(data).includes('draining')) for (let i = 0; i < 50; i++) client.send(i)
  })
  const draining = app.realtime.drain()
  t.match(await client.next(), { notice: { code: 'draining' } })
  for (let i = 0; i < 50; i++) t.equal(await client.next(), i)
  t.match(await client.closed(), { code: 1012 })
  await draining
})

t.test('a source that was not named is no source', async (t) => {
  const { app } = await buildApp(t, { auth: { sources: ['subprotocol'] } })
  app.ws('/live', async (socket) => {
    for await (const message of socket.messages()) socket.sendJson(message)
  })
  const headers = { authorization: `Bearer ${testToken()}` }
  const refused = await connect(app, '/live', { headers }).catch((error) => error)
  t.equal(refused.statusCode, 401)
  const client = await connect(app, '/live', { token: testToken() })
  client.send(1)
  t.equal(await client.next(), 1)
})

t.test('the other servers of an application are watched and closed too', async (t) => {
  // Fastify makes one server for each address of `localhost`. Requests to the second one showed `cf_connect` to the log,
  // and a connection over which nothing came kept the process from ending.
  withTwoAddresses(t)
  const { app, logs } = await buildApp(t)
  app.channel('rooms/:room', { onSubscribe: true })
  await app.listen({ host: 'localhost', port: 0 })
  const { port } = app.server.address() as AddressInfo
  const token = testToken()
  const connect = encodeURIComponent(JSON.stringify({ id: 1, connect: { token } }))
  const [other] = otherServersOf(app) as [Server]
  const accepted = once(other, 'connection')
  const silent = net.connect({ port, host: '127.0.0.2' })
  silent.on('error', () => undefined)
  await accepted
  for (const host of ['127.0.0.1', '127.0.0.2']) {
    const events = await fetch(`http://${host}:${port}/connection/sse?cf_connect=${connect}`)
    t.equal(events.status, 200)
    await events.body?.cancel()
  }
  t.equal(logs.filter(({ msg }) => msg === 'incoming request').length, 2)
  holdsNoToken(t, token, logs)
  await Promise.all([app.close(), once(silent, 'close'), once(other, 'close')])
})

t.test('a connection over which nothing came does not keep the server from closing', async (t) => {
  const { app } = await buildApp(t)
  await app.listen({ host: '127.0.0.1', port: 0 })
  const accepted = once(app.server, 'connection')
  const silent = net.connect({ port: (app.server.address() as AddressInfo).port, host: '127.0.0.1' })
  silent.on('error', () => undefined)
  await accepted
  const begun = performance.now()
  await Promise.all([app.close(), once(silent, 'close')])
  // Node itself ends it after this time.
  t.ok(performance.now() - begun < app.server.headersTimeout / 2)
})
