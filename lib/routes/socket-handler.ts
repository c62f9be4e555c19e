import type { FastifyInstance, FastifyRequest } from 'fastify'
import { isPromise } from '../input/eventual.ts'
import { loggable } from '../input/loggable.ts'
import { isDisconnectError, readable } from '../input/thrown.ts'
import { isChannelError } from '../protocol/channel-errors.ts'
import { CLOSE, type CloseCode } from '../protocol/close-codes.ts'
import type { RealtimeSocket } from '../socket/realtime-socket.ts'

/* What becomes of the handler of an `app.ws` route, and of its connection when it has returned or thrown. */

export type Handler = (this: FastifyInstance, socket: RealtimeSocket, request: FastifyRequest) => void | Promise<void>

const FIRST_SERVER_ERROR = 500
/** How a handler that throws a `ChannelError` closes, by the error's status. Any other status is `forbidden`. */
const CLOSE_FOR_STATUS: Readonly<Record<number, CloseCode>> = {
  400: CLOSE.badRequest,
  401: CLOSE.unauthorized,
  429: CLOSE.rateLimited
}

/**
 * Runs a route's handler for its connections. A handler that returns a promise lives as long as its connection. Nothing
 * here keeps the request: a connection may live for days.
 */
export function runner(app: FastifyInstance, path: string, handler: Handler) {
  let warned = false
  const returned = (socket: RealtimeSocket) => {
    if (!warned && socket.isInUse) {
      warned = true
      socket.settings.log.warn(
        { route: path },
        'async handler returned and closed the connection of its listeners or subscriptions'
      )
    }
    socket.finish()
  }
  return (socket: RealtimeSocket, request: FastifyRequest): void => {
    try {
      const running: unknown = handler.call(app, socket, request)
      if (!isPromise(running)) return
      socket.handled = Promise.resolve(running).then(
        () => returned(socket),
        (thrown) => failed(socket, thrown)
      )
    } catch (thrown) {
      failed(socket, thrown)
    }
  }
}

/** Whatever a handler does, the process goes on. */
function failed(socket: RealtimeSocket, thrown: unknown): void {
  const error = readable(thrown)
  const { log } = socket.settings
  if (isOfClient(error)) {
    log.info({ err: loggable(error), connection: socket.id }, 'channel name refused')
    socket.closeWith(CLOSE.badRequest)
    return
  }
  if (isChannelError(error) && error.statusCode < FIRST_SERVER_ERROR) {
    log.info({ err: loggable(error), connection: socket.id }, 'socket handler refused its client')
    const { code } = error.disconnects ? error : (CLOSE_FOR_STATUS[error.statusCode] ?? CLOSE.forbidden)
    // Its message is for the client.
    socket.close(code, error.message)
    return
  }
  if (!socket.closed && isUnavailable(error)) {
    // Redis is away, which is reported as that: the client comes back later.
    log.info({ err: loggable(error), connection: socket.id }, 'socket handler ended: unavailable')
    socket.sendError('unavailable')
    socket.closeWith(CLOSE.tryAgainLater)
    return
  }
  // If the connection has ended meanwhile, an error that follows from it is not the handler's fault.
  if (socket.closed && isDisconnectError(error))
    log.debug({ err: loggable(error) }, 'handler ended with its connection')
  else log.error({ err: loggable(error), connection: socket.id }, 'socket handler failed')
  socket.sendError('internal')
  socket.closeWith(CLOSE.internalError)
}

/** A name that is none comes from a client: from its address, or from a message. */
function isOfClient(error: unknown): boolean {
  return (error as { code?: unknown } | null)?.code === 'FST_RT_INVALID_CHANNEL'
}

/** The broker is away, or went while it was asked. */
function isUnavailable(error: unknown): boolean {
  const { code } = (error ?? {}) as { code?: unknown }
  return code === 'FST_RT_UNAVAILABLE' || code === 'FST_RT_UNKNOWN_OUTCOME'
}
