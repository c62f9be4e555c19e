import websocket from '@fastify/websocket'
import Fastify, { type FastifyInstance } from 'fastify'
import t from 'tap'
import { CLOSE } from '../lib/protocol/close-codes.ts'
import type { SocketContext } from '../lib/socket/context.ts'
import { kContext, RealtimeSocket } from '../lib/socket/realtime-socket.ts'
import { type Sockets, takeSockets } from '../lib/websocket-server.ts'

/* What becomes of @fastify/websocket. How an application with it behaves: test/plugin.test.ts. */

const context = {} as SocketContext

t.test('registered here, it makes our sockets, and has none of its defaults that hurt', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  const sockets = await takeSockets(app, context)
  t.equal(app.websocketServer, sockets)
  const { options } = sockets
  t.equal(options.WebSocket, RealtimeSocket)
  t.equal(options[kContext], context)
  t.equal(options.perMessageDeflate, false)
  t.equal(options.closeTimeout, 2_000, 'a client that answers no close holds up the end for no longer')
})

t.test('registered by the application, its server is taken as it is', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(websocket, { options: { perMessageDeflate: true, maxPayload: 5 } })
  const server = app.websocketServer as unknown as Sockets
  const { close } = server
  const sockets = await takeSockets(app, context)
  t.equal(sockets, server)
  t.match(sockets.options, { WebSocket: RealtimeSocket, closeTimeout: 2_000, perMessageDeflate: {}, maxPayload: 5 })
  t.equal(sockets.options[kContext], context)
  t.not(sockets.close, close)
})

t.test('what its own hook closes calls back once', async (t) => {
  // Its preClose hook does twice, which ended the close of the application early.
  let closed = 0
  const server = { options: {}, close: () => void closed++ }
  const app = { hasPlugin: () => true, websocketServer: server } as unknown as FastifyInstance
  const sockets = await takeSockets(app, context)
  sockets.close(() => t.fail('called back'))
  t.equal(closed, 0)
  sockets.close()
  t.equal(closed, 1)
})

interface Registered {
  errorHandler(error: Error, socket: object, request: object): void
  preClose(done: () => void): void
}

/** What @fastify/websocket is registered with. */
async function registered(): Promise<Registered> {
  let given: unknown
  const app = {
    hasPlugin: () => false,
    register: async (_plugin: unknown, options: unknown) => {
      given = options
    }
  }
  await takeSockets(app as unknown as FastifyInstance, context)
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
  const socket = { id: 'socket-1', closeWith: (close: unknown) => did.push(close), terminate: () => t.fail('cut off') }
  errorHandler(error, socket, { log: { error: (...args: unknown[]) => did.push(args) } })
  t.same(did, [[{ err: error, connection: 'socket-1' }, 'socket handler failed'], CLOSE.internalError])
})
