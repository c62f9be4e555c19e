import { EventEmitter, once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, ServerResponse } from 'node:http'
import { connect as connectHttp2, createServer as createHttp2Server } from 'node:http2'
import { type AddressInfo, connect, Socket } from 'node:net'
import { PassThrough } from 'node:stream'
import cookie from '@fastify/cookie'
import jwt from '@fastify/jwt'
import rateLimit from '@fastify/rate-limit'
import websocket from '@fastify/websocket'
import Fastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify'
import { Cluster, Command, Redis } from 'ioredis'
import t, { type Test } from 'tap'
import * as ws from 'ws'
import type { ServerSocketClass, Sockets } from '../lib/dependencies.ts'
import * as dependencies from '../lib/dependencies.ts'
import { testSecret, testToken } from '../lib/testing/index.ts'
import { withTwoAddresses } from './support/addresses.ts'

/* The insides of other packages that lib relies on: each is read from the package itself, as it is installed. */

const source = readFileSync(new URL('../lib/dependencies.ts', import.meta.url), 'utf8')

function application(t: Test, options: FastifyServerOptions = {}): FastifyInstance {
  const app = Fastify(options)
  t.teardown(() => app.close())
  return app as unknown as FastifyInstance
}

/** What a test knows of an object whose insides it looks at. */
function inside<T>(value: unknown): T {
  return value as T
}

t.test('every package still has the major version in which its insides were seen', async (t) => {
  const headings = [...source.matchAll(/^\/\/ --- (\S+) (\d+)\.\d+\.\d+$/gm)]
  t.ok(headings.length > 5)
  for (const [, name = '', major] of headings) {
    if (name === 'node') continue
    const manifest = readFileSync(new URL(`../node_modules/${name}/package.json`, import.meta.url), 'utf8')
    t.equal(JSON.parse(manifest).version.split('.', 1)[0], major, name)
  }
})

t.test('every item has a test of its name here', async (t) => {
  const tests = readFileSync(new URL(import.meta.url), 'utf8')
  const items = [...source.matchAll(/^export (?:function|const|type|interface) (\w+)/gm)].map(([, name]) => name)
  t.same(
    items.filter((name) => !new RegExp(`^t\\.test\\('[^']*\\b${name}\\b`, 'm').test(tests)),
    []
  )
})

t.test('fastify: scopesFrom, rootOf', async (t) => {
  const app = application(t)
  await app.register(async (scope) => {
    await scope.register(async (inner) => {
      t.same(dependencies.scopesFrom(inner), [inner, scope, app])
      t.equal(dependencies.rootOf(inner), app)
    })
  })
  t.same(dependencies.scopesFrom(app), [app])
})

t.test('fastify: serverOptionsOf, ROUTER_OPTIONS', async (t) => {
  const rewriteUrl = () => '/'
  const app = application(t, { rewriteUrl, routerOptions: { caseSensitive: false } })
  await app.register(async (scope) => {
    const { routerOptions, rewriteUrl: found } = dependencies.serverOptionsOf(scope)
    t.equal(routerOptions.caseSensitive, false)
    t.equal(found, rewriteUrl)
    // The others are functions that do not choose a route, and what UpgradeRoutes reads by itself.
    const others = Object.entries(routerOptions).filter(([, value]) => !['boolean', 'number'].includes(typeof value))
    const names = [...others.map(([name]) => name), 'compile', ...dependencies.ROUTER_OPTIONS]
    t.same(names.sort(), Object.keys(routerOptions).sort())
  })
  t.throws(() => dependencies.serverOptionsOf({} as FastifyInstance), {
    code: 'FST_RT_DEPENDENCY',
    message: 'fastify: its options cannot be read in this version: use another'
  })
})

t.test('fastify: replyClassOf', async (t) => {
  const app = application(t)
  app.decorateReply('outer', () => 'outer')
  await app.register(async (scope) => {
    scope.decorateReply('inner', () => 'inner')
    app.get('/', async (request) => {
      const Reply = dependencies.replyClassOf(scope)
      const reply = new Reply(new ServerResponse(request.raw), request, request.log)
      const { outer, inner } = inside<{ outer(): string; inner(): string }>(reply)
      t.same([outer(), inner(), reply.request], ['outer', 'inner', request])
    })
  })
  await app.inject('/')
  t.throws(() => dependencies.replyClassOf({} as FastifyInstance), {
    code: 'FST_RT_DEPENDENCY',
    message: /^fastify: hooks of scopes cannot be run/
  })
  t.plan(2)
})

t.test('fastify: ensureValidatorCompiler, ensureSerializerCompiler', async (t) => {
  for (const isHelped of [true, false]) {
    const app = application(t)
    app.addHook('onRoute', function (options) {
      this.after(() => {
        if (!isHelped) return
        dependencies.ensureValidatorCompiler(this, options)
        dependencies.ensureSerializerCompiler(this, options)
      })
    })
    app.get('/', { schema: { hide: true } as object }, async () => '')
    await app.ready()
    t.equal(typeof app.validatorCompiler, isHelped ? 'function' : 'undefined', 'there is none without')
    t.equal(typeof app.serializerCompiler, isHelped ? 'function' : 'undefined')
  }
  const compiler = () => () => true
  const own = { validatorCompiler: compiler, schema: {} }
  dependencies.ensureValidatorCompiler(application(t), own as never)
  const app = application(t)
    .setValidatorCompiler(compiler)
    .setSerializerCompiler(compiler as never)
  const bare = { schema: {} }
  dependencies.ensureValidatorCompiler(app, bare as never)
  dependencies.ensureSerializerCompiler(app, bare as never)
  t.same([own.schema, bare.schema], [{}, {}], 'one is not needed')
})

t.test('fastify: otherServersOf', async (t) => {
  withTwoAddresses(t)
  const app = application(t)
  await app.listen({ host: 'localhost', port: 0 })
  const [other, ...more] = dependencies.otherServersOf(app)
  t.ok(other?.listening)
  t.not(other, app.server)
  t.same(more, [])
})

t.test('@fastify/websocket: WEBSOCKET_DECORATORS', async (t) => {
  const app = application(t)
  const added: unknown[] = []
  const { decorate, decorateRequest } = app
  app.decorate = inside((...args: unknown[]) => added.push(args[0]) && Reflect.apply(decorate, app, args))
  app.decorateRequest = inside((...args: unknown[]) => added.push(args[0]) && Reflect.apply(decorateRequest, app, args))
  await app.register(websocket)
  t.same(added, ['ws', ...dependencies.WEBSOCKET_DECORATORS], 'its request has `ws`, which comes first')
})

t.test('@fastify/websocket: isThroughFastify, isRouteGuard, isInjected', async (t) => {
  const app = application(t)
  app.server.on('upgrade', () => undefined)
  await app.register(websocket)
  t.same(app.server.listeners('upgrade').map(dependencies.isThroughFastify), [false, true])
  const upgrades: IncomingMessage[] = []
  app.server.on('upgrade', (request) => upgrades.push(request))
  app.get('/', { websocket: true }, (socket) => {
    socket.on('error', () => undefined)
    t.same(socket.listeners('error').filter(dependencies.isRouteGuard).length, 1)
    t.equal(socket.listeners('error').length, 2)
    socket.terminate()
  })
  await app.ready()
  const injected = await app.injectWS('/')
  injected.terminate()
  const client = new ws.WebSocket(await app.listen({ port: 0, host: '127.0.0.1' }))
  await once(client, 'close')
  t.same(upgrades.map(dependencies.isInjected), [true, false])
  t.match(upgrades[0]?.headers, { host: undefined, 'sec-websocket-version': 13 })
})

t.test('ws: Sockets, ServerSocketClass, ReceiverOptions, hasReceivedClose, bufferedByWs', async (t) => {
  const made: unknown[][] = []
  class Own extends inside<ServerSocketClass>(ws.WebSocket) {
    override setSocket(...args: Parameters<InstanceType<ServerSocketClass>['setSocket']>): void {
      made.push(args)
      super.setSocket(...args)
    }

    override close(code?: number): void {
      made.push(['close', code, dependencies.hasReceivedClose(this)])
      super.close(code)
    }
  }
  const limits = { maxPayload: 5, maxFragments: 6, maxBufferedChunks: 7 }
  const server = createServer()
  const sockets = new ws.WebSocketServer({ server }) as Sockets
  t.teardown(() => server.close())
  Object.assign(sockets.options, { WebSocket: Own, ...limits })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const client = new ws.WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`)
  const [socket] = (await once(sockets, 'connection')) as [InstanceType<typeof Own>]
  t.ok(socket instanceof Own, 'its options are read anew at each upgrade')
  t.match(made, [[Socket, Buffer, limits]])
  t.equal(dependencies.hasReceivedClose(socket), false)
  const [stream] = made[0] as [Socket]
  stream.cork()
  socket.send('four')
  t.equal(dependencies.bufferedByWs(ws.WebSocket, socket), 6, 'with the head of the frame')
  stream.uncork()
  if (client.readyState !== client.OPEN) await once(client, 'open')
  client.close(4000)
  await once(socket, 'close')
  t.same(made[1], ['close', 4000, true], 'it answers a close frame by its own close()')
  t.ok(Object.getOwnPropertyDescriptor(ws.WebSocket.prototype, 'bufferedAmount')?.get, 'an accessor')
})

t.test('ws: awaitsLastClose', async (t) => {
  const sockets = new ws.WebSocketServer({ noServer: true }) as Sockets
  sockets.clients.add({} as ws.WebSocket)
  t.equal(dependencies.awaitsLastClose(sockets), false)
  sockets.close()
  t.equal(dependencies.awaitsLastClose(sockets), true)
  const empty = new ws.WebSocketServer({ noServer: true }) as Sockets
  empty.close()
  t.equal(dependencies.awaitsLastClose(empty), false)
})

t.test('ws: extensionParsers', async (t) => {
  const { extension, PerMessageDeflate } = dependencies.extensionParsers(ws)
  const offers = extension.parse('permessage-deflate; server_max_window_bits=9')[PerMessageDeflate.extensionName]
  t.same(offers, [{ server_max_window_bits: ['9'] }])
  t.throws(() => extension.parse('a=='), SyntaxError)
  new PerMessageDeflate({ isServer: true }).accept(offers)
  const unknown = extension.parse('permessage-deflate; unknown')[PerMessageDeflate.extensionName]
  t.throws(() => new PerMessageDeflate({ isServer: true }).accept(unknown))
})

t.test('@fastify/jwt: jwtNamespaces, jwtOf, jwtRequest, takesCallback', async (t) => {
  const plain = application(t)
  await plain.register(cookie)
  await plain.register(jwt, {
    secret: testSecret,
    decoratorName: 'member',
    cookie: { cookieName: 'token', signed: false },
    verify: { onlyCookie: true, allowedIss: 'a', allowedAud: 'b', clockTolerance: 3, extractToken: () => 'none' }
  })
  t.same(dependencies.jwtNamespaces(plain), [])
  t.match(dependencies.jwtOf(plain), {
    options: {
      decoratorName: 'member',
      verify: { onlyCookie: true, allowedIss: 'a', allowedAud: 'b', clockTolerance: 3, extractToken: Function }
    },
    cookie: { cookieName: 'token', signed: false }
  })
  const named = application(t)
  t.same([dependencies.jwtNamespaces(named), dependencies.jwtOf(named)], [[], undefined])
  await named.register(jwt, { secret: testSecret, namespace: 'inner', jwtVerify: 'jwtVerify' })
  t.same(dependencies.jwtNamespaces(named), ['inner'])
  t.match(dependencies.jwtOf(named), { options: { decoratorName: 'user', verify: {} } })
  const token = testToken({ sub: 'ada' })
  named.get('/', async (request) => {
    const errors: unknown[] = []
    dependencies.jwtRequest(request).jwtVerify({ extractToken: () => token }, (error) => errors.push(error))
    t.same(errors, [null], 'it calls back before it returns')
    t.equal(dependencies.takesCallback(dependencies.jwtRequest(request).jwtVerify), true)
    for (const other of [async () => undefined, (..._: unknown[]) => undefined, function requestVerify() {}]) {
      t.equal(dependencies.takesCallback(other), false)
    }
    t.match(request.user, { sub: 'ada' }, 'it assigns the user by itself')
  })
  await named.inject('/')
  await named.close()
  const two = application(t)
  await two.register(jwt, { secret: testSecret, namespace: 'inner' })
  await two.register(jwt, { secret: testSecret, namespace: 'outer' })
  t.same([dependencies.jwtNamespaces(two), dependencies.jwtOf(two)], [['inner', 'outer'], undefined])
})

t.test('@fastify/cookie: cookieParsers', async (t) => {
  const app = application(t)
  await app.register(cookie, { secret: 'only for this test' })
  const { parseCookie, unsignCookie } = dependencies.cookieParsers(app)
  t.match(parseCookie('a=1; token=x%20y'), { token: 'x y' })
  t.match(unsignCookie(app.signCookie('x')), { value: 'x' })
  t.match(unsignCookie('x.y'), { value: null })
})

t.test('@fastify/rate-limit: isLimiter', async (t) => {
  const app = application(t)
  await app.register(rateLimit, { global: false })
  const own = async () => undefined
  app.addHook('onRoute', ({ onRequest }) => {
    t.same(
      [onRequest].flat().map((hook) => dependencies.isLimiter(app, hook)),
      [false, true]
    )
  })
  app.get('/', { onRequest: own, config: { rateLimit: { max: 1 } }, exposeHeadRoute: false }, async () => '')
  await app.ready()
  t.equal(dependencies.isLimiter(application(t), own), false)
  t.plan(2)
})

t.test('node: dropListenerTable', async (t) => {
  const emitter = new EventEmitter()
  t.equal(typeof Reflect.get(emitter, '_events'), 'object', 'there is one by default')
  dependencies.dropListenerTable(emitter)
  t.equal(Reflect.get(emitter, '_events'), undefined)
  t.equal(emitter.emit('a'), false)
  t.throws(() => emitter.emit('error', new Error('not handled')), { message: 'not handled' })
  t.same([emitter.listenerCount('a'), emitter.rawListeners('a'), emitter.eventNames()], [0, [], []])
  const listener = () => undefined
  emitter.off('a', listener).removeAllListeners()
  t.equal(emitter.on('a', listener).emit('a'), true)
  t.same(emitter.listeners('a'), [listener])
})

t.test('node: remakeDistinctHeaders', async (t) => {
  const server: Server = createServer((request, response) => {
    t.same(request.headersDistinct['x-a'], ['1'])
    request.rawHeaders[request.rawHeaders.indexOf('1')] = '2'
    t.same(request.headersDistinct['x-a'], ['1'], 'Node remembers them')
    dependencies.remakeDistinctHeaders(request)
    t.same(request.headersDistinct['x-a'], ['2'])
    response.end()
  })
  t.teardown(() => server.close())
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1')
  client.write('GET / HTTP/1.1\r\nHost: a\r\nX-A: 1\r\nConnection: close\r\n\r\n')
  await once(client.resume(), 'close')
  const without = {} as never
  dependencies.remakeDistinctHeaders(without)
  t.same(without, {})
})

t.test('fastify: withParsersOf', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  let scope: FastifyInstance | undefined
  await app.register(async (inner) => {
    inner.removeAllContentTypeParsers()
    inner.addContentTypeParser('*', { parseAs: 'string' }, (_request, body, done) => done(null, `own ${body}`))
    scope = inner
  })
  const view = dependencies.withParsersOf(app, scope as unknown as FastifyInstance)
  const urls: string[] = []
  app.addHook('onRoute', ({ url }) => void urls.push(url))
  view.post('/view', async ({ body }) => body)
  app.post('/app', async ({ body }) => body)
  t.same(urls, ['/view', '/app'], 'hooks of the instance apply')
  const post = async (url: string) => (await app.inject({ method: 'POST', url, payload: { a: 1 } })).body
  t.equal(await post('/view'), 'own {"a":1}')
  t.equal(await post('/app'), '{"a":1}')
  t.throws(() => dependencies.withParsersOf(app, {} as FastifyInstance), { code: 'FST_RT_DEPENDENCY' })
})

t.test('node: streamOf', async (t) => {
  const response = new PassThrough() as never
  t.equal(dependencies.streamOf(response), response)
  const stream = new PassThrough()
  t.equal(dependencies.streamOf({ stream } as never), stream)
})

t.test('node: chunkSocketOf', async (t) => {
  const found: unknown[] = []
  const server = createServer((request, response) => {
    response.flushHeaders()
    found.push(dependencies.chunkSocketOf(response) === request.socket)
    // What the socket is given is what the client reads.
    if (request.httpVersionMinor === 1) request.socket.write('3\r\none\r\n')
    response.end()
  })
  t.teardown(() => server.close())
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  t.equal(await (await fetch(`http://127.0.0.1:${port}/`)).text(), 'one')
  const old = connect(port, '127.0.0.1')
  old.resume().write('GET / HTTP/1.0\r\n\r\n')
  await once(old, 'close')
  t.same(found, [true, false])
  t.equal(dependencies.chunkSocketOf({ chunkedEncoding: true, socket: new PassThrough() } as never), undefined)
})

t.test('node: isQueued', async (t) => {
  const queued: boolean[] = []
  const server = createServer((_request, response) => {
    queued.push(dependencies.isQueued(response))
    setImmediate(() => response.end())
  })
  t.teardown(() => server.close())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
  socket.end('GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n')
  socket.resume()
  await once(socket, 'close')
  t.same(queued, [false, true])
  t.equal(dependencies.isQueued({ stream: {}, socket: null } as never), false)
})

t.test('node: closeOnceAnswered', async (t) => {
  const server = createHttp2Server((_request, response) => {
    dependencies.closeOnceAnswered(dependencies.streamOf(response as never))
    response.end('a')
  })
  t.teardown(() => server.close())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const session = connectHttp2(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  t.teardown(() => session.destroy())
  // The client never ends its request.
  const stream = session.request({ ':method': 'POST' }).resume()
  await once(stream, 'close')
  t.equal(stream.rstCode, 0)
  dependencies.closeOnceAnswered(new PassThrough())
})

t.test('node: responseOn', async (t) => {
  const server: Server = createServer((request, response) => {
    t.equal(dependencies.responseOn(request.socket), response)
    response.detachSocket(request.socket)
    t.equal(dependencies.responseOn(request.socket), undefined)
    request.socket.destroy()
  })
  t.teardown(() => server.close())
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1')
  client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  await once(client, 'close')
  t.equal(dependencies.responseOn(new PassThrough()), undefined)
})

t.test('node: silentConnections', async (t) => {
  const server = createServer((_request, response) => response.end())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  const accepted = once(server, 'connection')
  const silent = connect({ port, host: '127.0.0.1' })
  await accepted
  const speaking = connect({ port, host: '127.0.0.1' })
  speaking.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  await once(speaking, 'data')
  server.closeIdleConnections()
  await once(speaking, 'close')
  t.same(
    dependencies.silentConnections(server).map(({ remotePort }) => remotePort),
    [silent.localPort]
  )
  silent.destroy()
  t.same(dependencies.silentConnections(createHttp2Server() as never), [])
})

t.test('ioredis: REDIS_OPTIONS_WITHOUT_DEFAULT', async (t) => {
  const read = (file: string) =>
    readFileSync(new URL(`../node_modules/ioredis/built/${file}.d.ts`, import.meta.url), 'utf8')
  const declared = [
    ['redis/RedisOptions', 'interface CommonRedisOptions'],
    ['connectors/SentinelConnector/index', 'interface SentinelConnectionOptions'],
    ['connectors/StandaloneConnector', 'type StandaloneConnectionOptions'],
    ['utils/Commander', 'interface CommanderOptions']
  ].flatMap(([file = '', name = '']) => {
    const text = read(file)
    const start = text.indexOf(name)
    t.not(start, -1, name)
    const members = text.slice(start, text.indexOf('\n}', start)).matchAll(/^ {4}(\w+)\??:/gm)
    return Array.from(members, ([, member]) => member as string)
  })
  const byDefault = Object.keys(new Redis({ lazyConnect: true }).options)
  const without = [...new Set(declared)].filter((name) => !byDefault.includes(name))
  t.same(without.sort(), [...dependencies.REDIS_OPTIONS_WITHOUT_DEFAULT].sort())
})

t.test('ioredis: isRedisOfThisVersion', async (t) => {
  t.equal(dependencies.isRedisOfThisVersion(new Redis({ lazyConnect: true })), true)
  t.equal(dependencies.isRedisOfThisVersion({ options: { lazyConnect: true } }), false, 'as before version 6')
  t.equal(dependencies.isRedisOfThisVersion({}), false)
})

t.test('ioredis: commandClassOf', async (t) => {
  const clients = [
    new Redis({ lazyConnect: true }),
    new Redis({ lazyConnect: true, enableAutoPipelining: true }),
    new Cluster([], { lazyConnect: true })
  ]
  for (const client of clients) {
    t.equal(dependencies.commandClassOf(client), Command)
    t.equal(client.status, 'wait', 'nothing is sent')
  }
})

t.test('ioredis: isUnsent, lastNodeError', async (t) => {
  const port = await unusedPort()
  const single = new Redis({ port, lazyConnect: true, enableOfflineQueue: false, retryStrategy: null })
  single.on('error', () => undefined)
  const unsent = await single.get('a').catch((error) => error)
  t.ok(dependencies.isUnsent(unsent), unsent.message)

  const cluster = new Cluster([{ host: '127.0.0.1', port }], {
    lazyConnect: true,
    clusterRetryStrategy: () => null
  })
  const errors: Error[] = []
  cluster.on('error', (error) => errors.push(error))
  await t.rejects(cluster.connect())
  const [away] = errors as [Error]
  t.match(dependencies.lastNodeError(away), Error, away.message)
  t.notOk(dependencies.isUnsent(away))
  t.equal(dependencies.lastNodeError(unsent), undefined)
  const maxRedirections = (error: Error) => t.ok(dependencies.isUnsent(error), error.message)
  cluster.handleError(new Error('MOVED 1 127.0.0.1:1'), { value: 1 }, { maxRedirections } as never)
  t.plan(6)
})

/** A port on which nothing listens. */
async function unusedPort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}
