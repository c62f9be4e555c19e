import websocket from '@fastify/websocket'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { WebSocketServer } from 'ws'
import { CLOSE } from './protocol/close-codes.ts'
import type { SocketContext } from './socket/context.ts'
import { loggable } from './socket/loggable.ts'
import { kContext, RealtimeSocket } from './socket/realtime-socket.ts'

// A peer that doesn't answer a close is cut after this; ws would wait 30 s, and app.close() with it.
const CLOSE_TIMEOUT = 2_000

/** `ws`'s server, with the options that it reads anew at each upgrade. */
export type Sockets = WebSocketServer & { options: Record<string | symbol, unknown> }

/** @fastify/websocket's server, registered here or by the application before, made to use our sockets. */
export async function takeSockets(app: FastifyInstance, context: SocketContext): Promise<Sockets> {
  const ours = { WebSocket: RealtimeSocket, closeTimeout: CLOSE_TIMEOUT, [kContext]: context }
  if (!app.hasPlugin('@fastify/websocket')) {
    await app.register(websocket, {
      options: { ...ours, perMessageDeflate: false } as object,
      errorHandler: handlerFailed as never,
      preClose: (done) => done()
    })
    return app.websocketServer as Sockets
  }
  const sockets = app.websocketServer as Sockets
  Object.assign(sockets.options, ours)
  // Its preClose hook calls back a second time once the server is closed, which would end Fastify's own close early.
  const close = sockets.close.bind(sockets)
  sockets.close = (callback?: unknown) => {
    if (callback === undefined) close()
  }
  return sockets
}

/** A plain route's handler threw or rejected. Faults of peers don't come here: the socket sees to them. */
function handlerFailed(thrown: Error, socket: RealtimeSocket, request: FastifyRequest): void {
  const err = loggable(thrown)
  request.log.error({ err, connection: socket.id }, 'socket handler failed')
  socket.closeWith(CLOSE.internalError)
}
