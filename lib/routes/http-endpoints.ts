import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest, RouteOptions } from 'fastify'
import type { Transport } from '../connection/connection.ts'
import { chunkSocketOf, streamOf } from '../dependencies.ts'
import {
  BadConnectError,
  BadEmulationError,
  BodyTooLargeError,
  CommandsWaitError,
  ContentTypeError,
  UnavailableError,
  UnknownSessionError
} from '../errors.ts'
import type { Admission } from '../handshake/admission.ts'
import { errorBody, type Refusals } from '../handshake/refusal.ts'
import { RefusalReason, withCause } from '../handshake/refusal-reason.ts'
import { routeOf } from '../handshake/route.ts'
import { connectsOf } from '../handshake/stream-arrival.ts'
import { ChunkedResponse } from '../http/chunked-response.ts'
import { connectFault } from '../http/connect-fault.ts'
import { HttpConnection } from '../http/http-connection.ts'
import type { HttpSessions } from '../http/http-sessions.ts'
import { streamEncodingOf } from '../http/stream-encodings.ts'
import type { Node } from '../node/node.ts'
import type { RelayResult } from '../node/relay.ts'
import type { ResolvedHttpEndpoints } from '../options/options.ts'
import { COMMANDS } from '../session/commands/index.ts'
import { type ClientFormat, jsonOverEvents } from '../session/encodings/client-format.ts'
import type { SessionServices } from '../session/services.ts'
import { Session } from '../session/session.ts'
import type { RequestBody } from './request-body.ts'
import { kTransport } from './socket-routes.ts'

/** The parts that the HTTP endpoints use. */
export interface HttpEndpointParts {
  readonly node: Node
  readonly admission: Admission
  readonly refusals: Refusals
  readonly sessions: HttpSessions
  readonly services: SessionServices
  /** The scope of the routes. */
  readonly scope: FastifyInstance
}

type HttpTransport = Exclude<Transport, 'websocket'>

// Neither nginx nor a cache may hold back what is written.
const STREAM_HEADERS = {
  'cache-control': 'no-cache, no-store, no-transform',
  'x-accel-buffering': 'no',
  'x-content-type-options': 'nosniff'
}
const EVENT_STREAM = 'text/event-stream; charset=utf-8'
const JSON_TYPE = 'application/json'
// Seconds for which a browser may remember the answer to its preflight request.
const PREFLIGHT_AGE = 300
// Seconds for the header Retry-After.
const RETRY_AFTER = 1

const EMULATION_ERRORS: Readonly<Record<Exclude<RelayResult, 'delivered'>, () => FastifyError>> = {
  unknown: () => new UnknownSessionError(),
  full: () => new CommandsWaitError(),
  unavailable,
  busy: unavailable
}

function unavailable(): FastifyError {
  return new UnavailableError()
}

/** The routes of the channel protocol for clients that cannot use WebSockets. */
export class HttpEndpoints {
  readonly #parts: HttpEndpointParts

  constructor(parts: HttpEndpointParts) {
    this.#parts = parts
  }

  declare({ stream, sse, emulation }: ResolvedHttpEndpoints): void {
    if (stream !== false) {
      this.#route(stream, ['POST'], 'http_stream', (request, reply) => this.#openStream(request, reply))
    }
    if (sse !== false) {
      this.#route(sse, ['GET', 'POST'], 'sse', (request, reply) => this.#openEvents(request, reply))
    }
    this.#route(emulation, ['POST'], 'emulation', (request, reply) => this.#deliver(request, reply))
  }

  #route(
    url: string,
    methods: string[],
    transport: HttpTransport | 'emulation',
    handler: (request: FastifyRequest, reply: FastifyReply) => unknown
  ): void {
    const { scope } = this.#parts
    const shared = { url, exposeHeadRoute: false, schema: { hide: true } }
    scope.route({
      ...shared,
      method: methods,
      // For @fastify/compress, which would hold back what is written.
      compress: false,
      config: { [kTransport]: transport },
      handler
    } as unknown as RouteOptions)
    scope.route({
      ...shared,
      method: 'OPTIONS',
      // Only the checks of `emulation` apply: a preflight request opens nothing.
      config: { [kTransport]: 'emulation' },
      handler: (_request: FastifyRequest, reply: FastifyReply) => preflight(reply, methods)
    } as unknown as RouteOptions)
  }

  #openStream(request: FastifyRequest, reply: FastifyReply): FastifyReply {
    const encoding = streamEncodingOf(request.headers['content-type'])
    return this.#openBody(request, reply, encoding?.format, encoding?.contentType)
  }

  #openEvents(request: FastifyRequest, reply: FastifyReply): FastifyReply {
    if (request.method === 'GET') {
      const [connect, ...others] = connectsOf(request)
      if (connect === undefined || others.length > 0) return this.#refuseConnect(request, reply, 'give one cf_connect')
      return this.#open(request, reply, Buffer.from(connect), jsonOverEvents, EVENT_STREAM)
    }
    // Events are text, so there is no other encoding.
    const isJson = streamEncodingOf(request.headers['content-type']) === streamEncodingOf(JSON_TYPE)
    return this.#openBody(request, reply, isJson ? jsonOverEvents : undefined, EVENT_STREAM)
  }

  /** @param format Undefined if the content type of the request is not supported. */
  #openBody(
    request: FastifyRequest,
    reply: FastifyReply,
    format: ClientFormat | undefined,
    contentType = ''
  ): FastifyReply {
    const connect = bodyOf(request, reply)
    if (connect === undefined) return this.#refuse(request, reply, new BodyTooLargeError())
    if (format === undefined) return this.#refuse(request, reply, new ContentTypeError())
    return this.#open(request, reply, connect, format, contentType)
  }

  #open(
    request: FastifyRequest,
    reply: FastifyReply,
    connect: Buffer,
    format: ClientFormat,
    contentType: string
  ): FastifyReply {
    const { node, admission, sessions, services } = this.#parts
    const { maxDepth } = routeOf(request).settings.limits
    const fault = connectFault(connect, format.encoding, maxDepth)
    if (fault !== undefined) return this.#refuseConnect(request, reply, fault)
    const stream = streamOf(reply.raw)
    reply.hijack()
    // The client may have left while the hooks ran. The response would never close again.
    if (stream.destroyed) return reply
    const settings = admission.open(request)
    // The server may have a timeout for idle connections, which is shorter than a heartbeat.
    reply.raw.setTimeout(0)
    reply.raw.writeHead(200, { ...reply.getHeaders(), ...STREAM_HEADERS, 'content-type': contentType } as never)
    reply.raw.flushHeaders()
    const socket = chunkSocketOf(reply.raw)
    const connection = new HttpConnection({
      settings,
      stream: socket === undefined ? stream : new ChunkedResponse(reply.raw, socket),
      format,
      context: node.context,
      sessions,
      node: node.roster.node
    })
    connection.session = new Session(connection, request, services, COMMANDS, format)
    connection.open()
    connection.receive({ data: connect, isBinary: format.encoding.isBinary })
    return reply
  }

  #refuseConnect(request: FastifyRequest, reply: FastifyReply, fault: string): FastifyReply {
    return this.#refuse(request, reply, withCause(new BadConnectError(fault), new RefusalReason(fault)))
  }

  #refuse(request: FastifyRequest, reply: FastifyReply, error: FastifyError): FastifyReply {
    return this.#parts.refusals.refuse(request, reply, error)
  }

  async #deliver(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const encoding = streamEncodingOf(request.headers['content-type'])
    const body = bodyOf(request, reply)
    if (body === undefined) return answerError(reply, new BodyTooLargeError())
    if (encoding === undefined) return answerError(reply, new ContentTypeError())
    const commands = encoding.readEmulation(body)
    if (commands === undefined) return answerError(reply, new BadEmulationError())
    const { node, session, data } = commands
    const letter = { data, isBinary: encoding.format.encoding.isBinary }
    const result = await this.#parts.node.relay.send(node, session, letter)
    if (result === 'delivered') return reply.code(204).send()
    if (result !== 'unknown') reply.header('retry-after', RETRY_AFTER)
    return answerError(reply, EMULATION_ERRORS[result]())
  }
}

/**
 * The bytes of the body of a request. Undefined if the body is too large. Then the client may send any number of bytes
 * more, so its connection ends with the answer. Over HTTP/2, only its stream does.
 */
function bodyOf({ body, raw }: FastifyRequest, reply: FastifyReply): Buffer | undefined {
  const bytes = (body as RequestBody).take()
  if (bytes === undefined && raw.httpVersionMajor < 2) reply.header('connection', 'close')
  return bytes
}

function answerError(reply: FastifyReply, error: FastifyError): FastifyReply {
  return reply.code(error.statusCode as number).send(errorBody(error))
}

function preflight(reply: FastifyReply, methods: readonly string[]): FastifyReply {
  return reply
    .code(204)
    .header('access-control-allow-methods', methods.join(', '))
    .header('access-control-allow-headers', 'authorization, content-type')
    .header('access-control-max-age', PREFLIGHT_AGE)
    .send()
}
