import type { FastifyInstance, FastifyRequest } from 'fastify'
import { isPromise } from '../input/eventual.ts'
import { loggable } from '../input/loggable.ts'
import { isDisconnectError, readable } from '../input/thrown.ts'
import { isChannelError } from '../protocol/channel-errors.ts'
import { CLOSE, type CloseCode } from '../protocol/close-codes.ts'
import type { RealtimeSocket } from '../socket/realtime-socket.ts'

/* Runs the handler of an `app.ws` route, and closes its connection if the handler's promise settles or it throws. */

export type Handler = (this: FastifyInstance, socket: RealtimeSocket, request: FastifyRequest) => void | Promise<void>

const FIRST_SERVER_ERROR = 500
/** The close code if a handler throws a `ChannelError`, by the error's status. For any other status: `forbidden`. */
const CLOSE_FOR_STATUS: Readonly<Record<number, CloseCode>> = {
  400: CLOSE.badRequest,
  401: CLOSE.unauthorized,
  429: CLOSE.rateLimited
}

/**
 * Returns a function that runs the route's handler for one connection. If a handler returns a promise, its connection
 * is closed when the promise settles. The function does not keep the request in memory, because a connection may be
 * open for days.
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

/** Closes the connection of a handler that failed, with the code for its error. */
function failed(socket: RealtimeSocket, thrown: unknown): void {
  const error = readable(thrown)
  const { log } = socket.settings
  if (isFaultOfClient(error)) {
    log.info({ err: loggable(error), connection: socket.id }, 'channel name refused')
    socket.closeWith(CLOSE.badRequest)
    return
  }
  if (isChannelError(error) && error.statusCode < FIRST_SERVER_ERROR) {
    log.info({ err: loggable(error), connection: socket.id }, 'socket handler refused its client')
    const { code } = error.disconnects ? error : (CLOSE_FOR_STATUS[error.statusCode] ?? CLOSE.forbidden)
    // The message of a ChannelError is for the client.
    socket.close(code, error.message)
    return
  }
  if (!socket.closed && isUnavailable(error)) {
    // The node logs that the broker is unavailable. The client reconnects later.
    log.info({ err: loggable(error), connection: socket.id }, 'socket handler ended: unavailable')
    socket.sendError('unavailable')
    socket.closeWith(CLOSE.tryAgainLater)
    return
  }
  // If the connection has ended meanwhile, it may be the cause of the error. This is not the handler's fault.
  if (socket.closed && isDisconnectError(error))
    log.debug({ err: loggable(error) }, 'handler ended with its connection')
  else log.error({ err: loggable(error), connection: socket.id }, 'socket handler failed')
  socket.sendError('internal')
  socket.closeWith(CLOSE.internalError)
}

/** True for an invalid channel name: it comes from a client's URL, or from a message. */
function isFaultOfClient(error: unknown): boolean {
  return (error as { code?: unknown } | null)?.code === 'FST_RT_INVALID_CHANNEL'
}

/** True if the broker is unavailable, or became so during a call. */
function isUnavailable(error: unknown): boolean {
  const { code } = (error ?? {}) as { code?: unknown }
  return code === 'FST_RT_UNAVAILABLE' || code === 'FST_RT_UNKNOWN_OUTCOME'
}
