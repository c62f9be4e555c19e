import { randomUUID } from 'node:crypto'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { ChannelError, type RouteOptions } from 'fastify-realtime'
import { authenticate, isAdmin, userOf } from '../authenticate.ts'
import { countStrokes } from '../count-strokes.ts'
import { publishOrExplain } from '../publishing.ts'
import { BoardParams, BoardPublication, Clear, Cleared, Cursor, Stroke } from '../schemas.ts'

// A stroke has 1,024 numbers at most.
const SOCKET: RouteOptions = { limits: { maxPayload: 64 * 1024 } }
const LIMIT = { max: 600, timeWindow: '1 minute' }
/*
 * A newcomer gets the board from its history, so that is all a board is. A pen that never rests makes four strokes a
 * second, of half a kilobyte or so: these are forty minutes of it, in 5 MB. What people draw in a day is far less, and
 * after a day they have forgotten it.
 */
const HISTORY = { size: 10_000, ttl: 24 * 60 * 60 * 1000 }
// A worker that was killed leaves its clients' names behind for so long.
const PRESENCE = { ttl: 10_000 }
// Looked at by everybody and drawn on by administrators only, over HTTP, so that there is something to be refused.
const MUSEUM = 'museum'
const LOOK_ONLY = 460
const LOOK_ONLY_REASON = 'this board is only to be looked at'
const FORBIDDEN = 4403

const channelOf = (board: string) => `boards/${board}`
// Who drew it is the server's to say, and nothing but a stroke is published as one.
const signed = ({ id = randomUUID(), colour, width, points }: Stroke, user: string | undefined) => {
  return { id, colour, width, points, user }
}

/** Whiteboards: what is drawn on one is published to all who look at it. */
const boards: FastifyPluginAsyncTypebox = async (app) => {
  app.channel('boards/:board', {
    onSubscribe: true,
    schema: { params: BoardParams, publication: BoardPublication },
    history: HISTORY,
    presence: PRESENCE,
    joinLeave: true,
    // A stroke that waited on the page may come before the page is subscribed again.
    publishers: 'clients',
    onPublish: ({ user, params, data }) => {
      refuseInMuseum(params.board)
      return admit(data, user?.sub)
    }
  })

  app.rpc('board.clear', { schema: { data: Clear, response: Cleared } }, async ({ user, data: { board, id } }) => {
    refuseInMuseum(board)
    const channel = channelOf(board)
    const clear = { clear: id, user: user?.sub }
    const position = await app.realtime.publish(channel, clear, { idempotencyKey: `clear ${user?.sub} ${id}` })
    return { cleared: await countStrokes(app.realtime, channel, position) }
  })

  // Nobody wants to know where a pointer was a second ago: no history, and whoever is slow misses some.
  app.channel('cursors/:board', {
    onSubscribe: true,
    schema: { params: BoardParams, publication: Cursor },
    onPublish: ({ data: { at } }) => ({ data: { at } })
  })

  app.ws(
    '/ws/boards/:board',
    { schema: { params: BoardParams, message: Stroke }, config: { realtime: SOCKET } },
    async (socket, request) => {
      const { board } = request.params
      const channel = channelOf(board)
      await socket.subscribe(channel)
      for await (const stroke of socket.messages()) {
        if (board === MUSEUM) return socket.close(FORBIDDEN, LOOK_ONLY_REASON)
        await publishOrExplain(socket, channel, signed(stroke, socket.user?.sub))
      }
    }
  )

  app.post(
    '/api/boards/:board/strokes',
    { schema: { params: BoardParams, body: Stroke }, onRequest: authenticate, config: { rateLimit: LIMIT } },
    async (request) => {
      const { board } = request.params
      // What hangs there has been hung by an administrator.
      if (board === MUSEUM && !isAdmin(request)) refuseInMuseum(board)
      return app.realtime.publish(channelOf(board), signed(request.body, userOf(request)))
    }
  )
}

function refuseInMuseum(board: string): void {
  if (board === MUSEUM) throw new ChannelError(LOOK_ONLY, LOOK_ONLY_REASON)
}

/** What is published of what a client wants to: nothing that it made up, and once, however often it is sent. */
function admit(data: BoardPublication, user: string | undefined) {
  if ('undo' in data) return { data: { undo: data.undo, user }, idempotencyKey: `undo ${data.undo}` }
  const { id, colour, width, points } = data
  return { data: { id, colour, width, points, user }, idempotencyKey: `stroke ${id}` }
}

export default boards
