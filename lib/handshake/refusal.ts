import { type IncomingMessage, STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import type { WebSocketServer } from 'ws'
import { HandshakeTimeoutError } from '../errors.ts'
import { GuardedLog, type Log } from '../input/guarded-log.ts'
import { CLOSE, type CloseCode } from '../protocol/close-codes.ts'
import { DISCONNECT, type Disconnect, disconnectFor } from '../protocol/disconnect-codes.ts'
import type { TimerWheel } from '../timing/timer-wheel.ts'
import { isExpired } from './claim-rules.ts'
import { type Attempt, type Handshake, handshakeOf } from './handshake.ts'
import { loggedReason } from './refusal-reason.ts'
import { routeOf } from './route.ts'
import { BAD_VERSION } from './upgrade-request.ts'

/*
 * Answers a refused handshake: with an HTTP response, or with the 101 and a close code. The status of each error is in
 * errors.ts.
 */

/** The refusals that a browser's page can act on, with their close codes. All others are answered with HTTP. */
const CLOSE_FOR: Readonly<Record<string, CloseCode>> = {
  FST_RT_SUBPROTOCOL: CLOSE.subprotocol,
  FST_RT_UNAUTHORIZED: CLOSE.unauthorized,
  FST_RT_USER_CAPACITY: CLOSE.tooManyConnections
}
/** The close codes for refusals by the route's own hooks and schemas, by HTTP status. */
const CLOSE_FOR_STATUS: Readonly<Record<number, CloseCode>> = {
  400: CLOSE.badRequest,
  401: CLOSE.unauthorized,
  403: CLOSE.forbidden
}
const RETRIABLE = new Set([429, 503])

export interface RefusalsOptions {
  /** The server that makes the sockets. */
  readonly server: WebSocketServer
  readonly wheel: TimerWheel
  readonly log: Log
  /** Seconds for the header Retry-After. */
  retryAfter(): number
  /** Counts a refusal. */
  refused(error: FastifyError, request: IncomingMessage): void
}

export class Refusals {
  readonly #options: RefusalsOptions
  /** Requests that failed with an error. Fastify makes its default answer from the error. */
  readonly #failed = new WeakSet<FastifyRequest>()

  constructor(options: RefusalsOptions) {
    this.#options = options
  }

  /**
   * Answers an attempt that was refused with an error of this package. Throws any other error, so that the
   * application's error handler answers it.
   */
  answer(attempt: Attempt, error: FastifyError, dismissal?: Disconnect): FastifyReply {
    const { request, reply } = attempt
    this.#options.refused(error, request.raw)
    // Any other error is from @fastify/rate-limit, or from a callback of the application.
    if (!isOurs(error)) throw error
    const log = new GuardedLog(request.log)
    log.info({ code: error.code, ...loggedReason(error) }, 'handshake refused')
    const isHttp = attempt.route.transport !== undefined
    const close = isHttp ? undefined : closeFor(attempt, error, dismissal)
    if (close !== undefined && refusesByClose(attempt)) return this.#acceptAndClose(attempt, close)
    for (const [name, value] of Object.entries(this.#headersFor(error))) {
      // The connection of an HTTP request does not end with the answer. Over HTTP/2 this header is not allowed.
      if (isHttp && name === 'connection') continue
      // A hook may have set Retry-After already.
      if (name !== 'retry-after' || !reply.hasHeader(name)) reply.header(name, value)
    }
    return reply.code(error.statusCode as number).send(errorBody(error))
  }

  /** Answers without Fastify: before Fastify has the request, while it closes, or if its hooks take too long. */
  write(request: IncomingMessage, stream: Duplex, error: FastifyError, reason = error.message): void {
    this.#options.refused(error, request)
    this.#options.log.info({ code: error.code, reason }, 'handshake refused')
    const statusCode = error.statusCode as number
    const body = JSON.stringify(errorBody(error))
    const headers = {
      ...this.#headersFor(error),
      'content-type': 'application/json; charset=utf-8',
      'content-length': Buffer.byteLength(body)
    }
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
    stream.once('finish', () => stream.destroy())
    stream.end(`HTTP/1.1 ${statusCode} ${STATUS_CODES[statusCode]}\r\n${lines.join('')}\r\n${body}`)
  }

  /** Answers a streaming request that was admitted, and is refused by its route. */
  refuse(request: FastifyRequest, reply: FastifyReply, error: FastifyError): FastifyReply {
    const handshake = handshakeOf(request.raw) as Handshake
    return this.answer({ handshake, request, reply, route: routeOf(request), claims: null }, error)
  }

  /** Answers a streaming request whose hooks take too long. Fastify does not answer it any more. */
  late({ request, reply, handshake }: Attempt): void {
    if (reply.sent || handshake.stream.destroyed) return
    const error = new HandshakeTimeoutError()
    this.#options.refused(error, request.raw)
    new GuardedLog(request.log).info({ code: error.code, reason: error.message }, 'handshake refused')
    reply.hijack()
    const { connection, ...headers } = this.#headersFor(error)
    // Its body may be missing, so the connection cannot be used again.
    if (request.raw.httpVersionMajor < 2) Object.assign(headers, { connection })
    reply.raw.writeHead(error.statusCode as number, { ...headers, 'content-type': 'application/json; charset=utf-8' })
    reply.raw.end(JSON.stringify(errorBody(error)))
  }

  /** Called if a hook, a schema or a handler of the route failed, before the answer to the error is sent. */
  failed(request: FastifyRequest): void {
    this.#failed.add(request)
  }

  /**
   * Called before a route answers a request. If the request is an upgrade, the route's own hooks or schemas have
   * refused it. Returns the payload to send, or undefined if the connection was closed with a close code instead.
   */
  onSend(request: FastifyRequest, reply: FastifyReply, payload: unknown): { payload: unknown } | undefined {
    const handshake = handshakeOf(request.raw)
    if (handshake === undefined) return { payload }
    const { statusCode } = reply
    // The connection ends with the answer. Without this header a proxy may send its next request on it, and lose that.
    reply.header('connection', 'close')
    const attempt: Attempt = { handshake, request, reply, route: routeOf(request), claims: null }
    const close = CLOSE_FOR_STATUS[statusCode]
    // Without settings, `answer` has refused the handshake, and has already decided how.
    const isRefusedByHook = handshake.settings !== undefined && !handshake.stream.destroyed
    if (isRefusedByHook && close !== undefined && refusesByClose(attempt)) {
      const log = new GuardedLog(request.log)
      log.info({ statusCode }, 'handshake refused')
      this.#acceptAndClose(attempt, close)
      return undefined
    }
    // Fastify's default answer contains the message of the error, and an unexpected error may contain any text.
    if (statusCode !== 500 || !this.#failed.has(request)) return { payload }
    const error = STATUS_CODES[statusCode] as string
    return { payload: JSON.stringify({ statusCode, error, message: error }) }
  }

  #headersFor({ statusCode, message }: FastifyError): Record<string, string | number> {
    const headers: Record<string, string | number> = { connection: 'close' }
    if (RETRIABLE.has(statusCode as number)) headers['retry-after'] = this.#options.retryAfter()
    if (statusCode === 401) headers['www-authenticate'] = 'Bearer'
    if (message.endsWith(BAD_VERSION)) headers['sec-websocket-version'] = '13'
    return headers
  }

  /**
   * Accepts the connection and closes it with a code. A browser reports every handshake that was refused over HTTP as
   * 1006, so its page would retry for ever.
   */
  #acceptAndClose(attempt: Attempt, { code, reason }: Disconnect): FastifyReply {
    const { handshake, request, reply } = attempt
    const { server, wheel } = this.#options
    reply.hijack()
    handshake.createSettings({ ...attempt, claims: null }, 'refused', wheel)
    server.handleUpgrade(request.raw, handshake.stream as Duplex, handshake.head, (socket) => {
      socket.close(code, reason)
    })
    return reply
  }
}

/** The body of the answer to an error of this package. */
export function errorBody({ statusCode, code, message }: FastifyError): object {
  return { statusCode, code, error: STATUS_CODES[statusCode as number], message }
}

/** The close code in the protocol of the route: the channel protocol has its own codes. */
function closeFor({ route }: Attempt, error: FastifyError, dismissal: Disconnect | undefined): Disconnect | undefined {
  const close = dismissal ?? CLOSE_FOR[error.code]
  if (close === undefined || route.kind !== 'channels') return close
  return close === CLOSE.unauthorized && !isExpired(error) ? DISCONNECT.invalidToken : disconnectFor(close)
}

/** @fastify/rate-limit may throw any value, because the application configures its error. */
function isOurs(error: unknown): error is FastifyError {
  const { code } = error as { code?: unknown }
  return typeof code === 'string' && code.startsWith('FST_RT_')
}

function refusesByClose({ handshake, request, route }: Attempt): boolean {
  const { auth } = route.settings
  const { offered, protocols } = handshake.offer
  // If a browser offered protocols and the server selects none, it fails the connection and reports no close code.
  if (offered && protocols.length === 0) return false
  const refuse = auth === false ? 'auto' : auth.refuse
  return refuse === 'close' || (refuse === 'auto' && request.headers.origin !== undefined)
}
