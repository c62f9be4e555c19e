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
 * A new client gets the board from its history, so the history is the whole board. A pen that never rests makes four
 * strokes a second, each of about half a kilobyte: these are forty minutes of it, in 5 MB. People draw far less in a
 * day, and after a day a board is no longer interesting.
 */
const HISTORY = { size: 10_000, ttl: 24 * 60 * 60 * 1000 }
// The names of a killed worker's clients stay for this long.
const PRESENCE = { ttl: 10_000 }
// All clients may look at it, and only administrators may draw on it, by HTTP. So there is a stroke to be refused.
const MUSEUM = 'museum'
const LOOK_ONLY = 460
const LOOK_ONLY_REASON = 'this board is only to be looked at'
const FORBIDDEN = 4403

const channelOf = (board: string) => `boards/${board}`
// The server sets the author, and publishes only strokes as strokes.
const signed = ({ id = randomUUID(), colour, width, points }: Stroke, user: string | undefined) => {
  return { id, colour, width, points, user }
}

/** Whiteboards: a drawing is published to all clients that look at the board. */
const boards: FastifyPluginAsyncTypebox = async (app) => {
  app.channel('boards/:board', {
    onSubscribe: true,
    schema: { params: BoardParams, publication: BoardPublication },
    history: HISTORY,
    presence: PRESENCE,
    joinLeave: true,
    // A stroke that waited on the page may arrive before the page is subscribed again.
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

  // A pointer's place of a second ago is of no use: no history, and slow readers miss some.
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
      // Only an administrator draws on this board.
      if (board === MUSEUM && !isAdmin(request)) refuseInMuseum(board)
      return app.realtime.publish(channelOf(board), signed(request.body, userOf(request)))
    }
  )
}

function refuseInMuseum(board: string): void {
  if (board === MUSEUM) throw new ChannelError(LOOK_ONLY, LOOK_ONLY_REASON)
}

/**
 * What is published of a client's stroke: nothing that the client made up about itself, and once, however often it is
 * sent.
 */
function admit(data: BoardPublication, user: string | undefined) {
  if ('undo' in data) return { data: { undo: data.undo, user }, idempotencyKey: `undo ${data.undo}` }
  const { id, colour, width, points } = data
  return { data: { id, colour, width, points, user }, idempotencyKey: `stroke ${id}` }
}

export default boards
