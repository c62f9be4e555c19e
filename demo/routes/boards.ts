import { randomUUID } from 'node:crypto'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { RouteOptions } from 'fastify-realtime'
import { authenticate, userOf } from '../authenticate.ts'
import { publishOrExplain } from '../publishing.ts'
import { BoardParams, Stroke } from '../schemas.ts'

// A stroke has 1,024 numbers at most.
const SOCKET: RouteOptions = { limits: { maxPayload: 64 * 1024 } }
const LIMIT = { max: 600, timeWindow: '1 minute' }

const channelOf = (board: string) => `boards/${board}`
// Who drew it is the server's to say.
const signed = (stroke: Stroke, user: string | undefined) => ({ ...stroke, id: stroke.id ?? randomUUID(), user })

/** Whiteboards: what is drawn on one is published to all who look at it. */
const boards: FastifyPluginAsyncTypebox = async (app) => {
  app.ws(
    '/ws/boards/:board',
    { schema: { params: BoardParams, message: Stroke }, config: { realtime: SOCKET } },
    async (socket, request) => {
      const channel = channelOf(request.params.board)
      await socket.subscribe(channel)
      for await (const stroke of socket.messages()) {
        await publishOrExplain(socket, channel, signed(stroke, socket.user?.sub))
      }
    }
  )

  app.post(
    '/api/boards/:board/strokes',
    { schema: { params: BoardParams, body: Stroke }, onRequest: authenticate, config: { rateLimit: LIMIT } },
    (request) => app.realtime.publish(channelOf(request.params.board), signed(request.body, userOf(request)))
  )
}

export default boards
