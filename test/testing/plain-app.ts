import websocket from '@fastify/websocket'
import Fastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify'
import type { WebSocket } from 'ws'

/*
 * An app with @fastify/websocket alone: the harness must work with any app, and its own tests must not depend on what the
 * plugin makes of a connection.
 */
export async function plainApp(
  t: { teardown(fn: () => unknown): void },
  onSocket: (socket: WebSocket) => void = echo,
  options: FastifyServerOptions = {}
): Promise<FastifyInstance> {
  const app = Fastify(options)
  t.teardown(() => app.close())
  await app.register(websocket)
  app.get('/ws', { websocket: true }, (socket) => onSocket(socket))
  app.get(
    '/refused',
    { websocket: true, onRequest: async (_request, reply) => reply.code(401).send({ no: 'entry' }) },
    echo
  )
  return app
}

export function echo(socket: WebSocket): void {
  socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }))
}
