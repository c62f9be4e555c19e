import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { RouteOptions } from 'fastify-realtime'
import { Text } from '../schemas.ts'

const MIB = 1024 * 1024

/** For conformance suites, which send large messages in tiny fragments and don't log in. */
const ECHO: RouteOptions = {
  auth: false,
  limits: {
    messages: false,
    bytes: false,
    maxPayload: 16 * MIB,
    maxFragments: 131_072,
    // A fragment may arrive as its own chunk, and large ones in many.
    maxBufferedChunks: 262_144,
    // One echo may wait while the next message arrives.
    buffered: { hard: 32 * MIB }
  }
}

/** Two routes to try out a client: one for any bytes, one for JSON with a token and a schema. */
const sockets: FastifyPluginAsyncTypebox = async (app) => {
  app.get('/ws/echo', { websocket: true, config: { realtime: ECHO } }, (socket) => {
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }))
  })

  app.ws('/ws/json', { schema: { message: Text } }, async (socket) => {
    for await (const message of socket.messages()) socket.sendJson({ echo: message })
  })
}

export default sockets
