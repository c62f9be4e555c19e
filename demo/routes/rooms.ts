import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { Position, RealtimeSocket, RouteOptions } from 'fastify-realtime'
import { authenticate } from '../authenticate.ts'
import { publishOrExplain } from '../publishing.ts'
import { RoomMessage, RoomParams, RoomQuery } from '../schemas.ts'

const MESSAGE_BYTES = 16 * 1024
const SOCKET: RouteOptions = { limits: { maxPayload: MESSAGE_BYTES } }
const LIMIT = { max: 6_000, timeWindow: '1 minute' }
const HISTORY = { size: 1_000, ttl: 600_000 }

const channelOf = (room: string) => `rooms/${room}`

/** Rooms: each message is published to all in the room, and clients that were offline get what they missed. */
const rooms: FastifyPluginAsyncTypebox = async (app) => {
  app.channel('rooms/:room', {
    history: HISTORY,
    presence: true,
    joinLeave: true,
    // Every client with a token may enter and publish.
    onSubscribe: true,
    onPublish: true
  })

  app.ws(
    '/ws/rooms/:room',
    {
      schema: { params: RoomParams, querystring: RoomQuery, message: RoomMessage },
      config: { realtime: SOCKET }
    },
    async (socket, request) => {
      const channel = channelOf(request.params.room)
      if (!(await enter(socket, channel, request.query.since))) return
      for await (const message of socket.messages()) await publishOrExplain(socket, channel, message)
    }
  )

  app.post(
    '/api/rooms/:room',
    {
      schema: { params: RoomParams, body: RoomMessage },
      bodyLimit: MESSAGE_BYTES,
      onRequest: authenticate,
      config: { rateLimit: LIMIT }
    },
    (request) => app.realtime.publish(channelOf(request.params.room), request.body)
  )
}

/**
 * Subscribes, and sends the client's position: after the missed publications, if they are available, and before
 * anything new. Returns false if the broker is not available: then the connection is closed with 1013, try again later.
 */
async function enter(socket: RealtimeSocket, channel: string, since: string | undefined): Promise<boolean> {
  const resumes = isResuming(since)
  try {
    const { recovered, offset, epoch } = await socket.subscribe(channel, resumes ? {} : { since: parsePosition(since) })
    if (!resumes) socket.sendJson({ notice: { code: 'subscribed', channel, recovered, offset, epoch } })
    return true
  } catch (error) {
    const { code } = error as { code?: string }
    if (code !== 'FST_RT_UNAVAILABLE' && code !== 'FST_RT_UNKNOWN_OUTCOME') throw error
    socket.close(1013, 'unavailable')
    return false
  }
}

/**
 * The positions of `fastify-realtime/client`, base64url of a JSON object: `socket.subscribe` uses them, and sends the
 * notice itself.
 */
function isResuming(since: string | undefined): boolean {
  return since !== undefined && /^e(yJ|30)[\w-]*$/.test(since)
}

/** `<epoch>:<offset>`. An epoch may contain a colon, an offset has digits only. */
function parsePosition(text: string | undefined): Position | undefined {
  if (text === undefined) return undefined
  const colon = text.lastIndexOf(':')
  const offset = text.slice(colon + 1)
  // A wrong position gets `recovered: false`: no epoch is empty.
  if (colon < 1 || !/^\d{1,15}$/.test(offset)) return { epoch: '', offset: 0 }
  return { epoch: text.slice(0, colon), offset: Number(offset) }
}

export default rooms
