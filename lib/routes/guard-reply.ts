import { type IncomingMessage, ServerResponse } from 'node:http'
import { Readable, Writable } from 'node:stream'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { replyClassOf } from '../dependencies.ts'

const FIRST_ERROR = 400
const LAST_ERROR = 599
const UNFORESEEN = 500

/**
 * Makes the replies that hooks of a scope get where there is no request to reply to: replies of that scope, with all its
 * decorators, whose response goes nowhere. To send one is to refuse.
 */
export function guardReplies(scope: FastifyInstance): (request: FastifyRequest) => FastifyReply {
  const Reply = replyClassOf(scope)
  return (request) => {
    const reply = new Reply(responseToNobody(request.raw), request, request.log)
    const send = (payload?: unknown) => {
      if (payload instanceof Error) reply.code(statusOf(reply, payload))
      // Nobody reads it: it would hold what it has opened.
      if (payload instanceof Readable) payload.destroy()
      reply.raw.end()
      return reply
    }
    // Fastify's own would run the hooks and the error handler of the endpoint, which is another scope's.
    return Object.defineProperties(reply, {
      server: { value: scope },
      send: { value: send },
      callNotFound: { value: () => reply.code(404).send() }
    })
  }
}

/** True once a hook has replied, or has taken the response for itself: nothing else goes on then. */
export function isOver(reply: FastifyReply): boolean {
  return reply.sent || reply.raw.destroyed
}

/** The status that Fastify would answer an error with: the reply's own, where one was set, or the error's. */
export function statusOf(reply: FastifyReply, error: unknown): number {
  if (reply.statusCode !== 200) return reply.statusCode
  const { statusCode, status } = (error ?? {}) as { statusCode?: unknown; status?: unknown }
  return [statusCode, status].find(isErrorStatus) ?? UNFORESEEN
}

function isErrorStatus(status: unknown): status is number {
  return typeof status === 'number' && status >= FIRST_ERROR && status <= LAST_ERROR
}

/** A response that can be written and ended like any other, and is closed then. */
function responseToNobody(request: IncomingMessage): ServerResponse {
  const raw = new ServerResponse(request)
  const nobody = new Writable({ write: (_chunk, _encoding, written) => written() })
  raw.assignSocket(nobody as never)
  return raw.once('finish', () => raw.destroy())
}
