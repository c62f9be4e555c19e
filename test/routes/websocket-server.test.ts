import { createServer } from 'node:http'
import websocket from '@fastify/websocket'
import Fastify from 'fastify'
import t from 'tap'
import { WebSocket } from 'ws'
import type { Sockets } from '../../lib/dependencies.ts'
import { CLOSE } from '../../lib/protocol/close-codes.ts'
import { type Handshakes, takeSockets } from '../../lib/routes/websocket-server.ts'
import type { SocketContext } from '../../lib/socket/context.ts'
import { kContext, RealtimeSocket } from '../../lib/socket/realtime-socket.ts'

/* What becomes of @fastify/websocket. How an application with it behaves: test/plugin.test.ts. */

const context = { random: () => 0.5 } as SocketContext
const handshakes: Handshakes = { isOurs: () => true, protocolOf: () => 'a protocol' }

t.test('registered here, it makes our sockets, and has none of its defaults that hurt', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  const { server, listener } = await takeSockets(app, context, handshakes)
  t.same(app.server.listeners('upgrade'), [listener])
  const { options } = server
  t.equal(options.WebSocket, RealtimeSocket)
  t.match(options[kContext], context)
  t.equal(options.perMessageDeflate, false)
  t.equal(options.closeTimeout, 2_000, 'a client that answers no close holds up the end for no longer')
  t.equal((options.handleProtocols as () => string)(), 'a protocol')
})

t.test('registered by the application, its server makes our sockets for our handshakes only', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(websocket, { options: { perMessageDeflate: true, maxPayload: 5 } })
  app.server.prependListener('upgrade', () => undefined)
  const theirs = app.websocketServer as unknown as Sockets
  const ours = new Set<unknown>()
  const { server, listener } = await takeSockets(app, context, { ...handshakes, isOurs: (one) => ours.has(one) })
  t.equal(app.server.listeners('upgrade')[1], listener, 'its listener is known among others')
  t.match(server.options, { WebSocket: RealtimeSocket, closeTimeout: 2_000, perMessageDeflate: {}, maxPayload: 5 })
  t.equal(theirs.options.WebSocket, WebSocket)
  theirs.options.skipUTF8Validation = true
  t.equal(server.options.skipUTF8Validation, true, 'what is set later holds too')

  const refusals: string[] = []
  const stream = { on() {}, once() {}, end: (text: string) => refusals.push(text.slice(0, 12)) }
  Object.defineProperty(server, 'handleUpgrade', { value: () => void refusals.push('ours') })
  const request = { method: 'POST', headers: {} }
  theirs.handleUpgrade(request as never, stream as never, Buffer.alloc(0), () => undefined)
  ours.add(request)
  theirs.handleUpgrade(request as never, stream as never, Buffer.alloc(0), () => undefined)
  t.same(refusals, ['HTTP/1.1 405', 'ours'])
})

t.test('our sockets are among the clients of its server, which closes after the last of them', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  const { server } = await takeSockets(app, context, handshakes)
  t.equal(server.clients, undefined, 'ws adds no listener to a socket for that')
  const { clients } = server.options[kContext] as { clients: Set<WebSocket> }
  const [one, two] = [{}, {}] as WebSocket[]
  clients.add(one as WebSocket)
  clients.add(two as WebSocket)
  t.same([...app.websocketServer.clients], [one, two])
  clients.delete(one as WebSocket)
  app.websocketServer.close()
  let closed = 0
  app.websocketServer.on('close', () => closed++)
  await new Promise(setImmediate)
  t.equal(closed, 0)
  t.ok(clients.delete(two as WebSocket))
  await new Promise(setImmediate)
  t.equal(closed, 1)
})

t.test('a server of the application that tracks no clients still tracks none', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(websocket, { options: { clientTracking: false } })
  const { server } = await takeSockets(app, context, handshakes)
  t.match(server.options[kContext], { clients: undefined })
})

t.test('registered by the application for another server, it says what to do', async (t) => {
  const app = Fastify()
  const another = createServer()
  t.teardown(() => app.close())
  await app.register(websocket, { options: { server: another } })
  await t.rejects(takeSockets(app, context, handshakes), {
    code: 'FST_RT_DEPENDENCY',
    message: /@fastify\/websocket: .* leave its option server out/
  })
})

t.test('what its own hook closes calls back once', async (t) => {
  // Its preClose hook does twice, which ended the close of the application early.
  const app = Fastify()
  await app.register(websocket)
  const theirs = app.websocketServer as unknown as Sockets
  let closed = 0
  theirs.close = () => void closed++
  await takeSockets(app, context, handshakes)
  theirs.close(() => t.fail('called back'))
  t.equal(closed, 0)
  theirs.close()
  t.equal(closed, 1)
})

interface Registered {
  errorHandler(error: Error, socket: object): void
  preClose(done: () => void): void
}

/** What @fastify/websocket is registered with. */
async function registered(): Promise<Registered> {
  let given: unknown
  const app = Fastify()
  const { register } = app
  app.register = ((plugin: never, options: never) => {
    given = options
    return register.call(app, plugin, options)
  }) as never
  await takeSockets(app, context, handshakes)
  await app.close()
  return given as Registered
}

t.test('clients are left to the drain when the application closes', async (t) => {
  const { preClose } = await registered()
  let done = 0
  preClose.call({ websocketServer: { clients: [{ close: () => t.fail('closed') }] } } as never, () => done++)
  t.equal(done, 1)
})

t.test('a plain route’s handler that fails is logged, and its connection closed with 1011', async (t) => {
  const { errorHandler } = await registered()
  const did: unknown[] = []
  const error = new Error('oops')
  const socket = {
    id: 'socket-1',
    settings: { log: { error: (...args: unknown[]) => did.push(args) } },
    closeWith: (close: unknown) => did.push(close),
    terminate: () => t.fail('cut off')
  }
  errorHandler(error, socket)
  t.same(did, [[{ err: error, connection: 'socket-1' }, 'socket handler failed'], CLOSE.internalError])
})
