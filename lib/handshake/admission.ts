import { randomUUID } from 'node:crypto'
import { type IncomingMessage, STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import type { FastifyError, FastifyReply, FastifyRequest, onRequestAsyncHookHandler } from 'fastify'
import * as ws from 'ws'
import type { Broker } from '../broker/broker.ts'
import {
  BadHandshakeError,
  CapacityError,
  DrainingError,
  ForbiddenOriginError,
  NotWebSocketRouteError,
  SubprotocolError,
  UnauthorizedError,
  UserCapacityError
} from '../errors.ts'
import { type Claims, DEFAULTS, type ResolvedAuth, type RouteSettings } from '../options.ts'
import { CLOSE, type CloseCode } from '../protocol/close-codes.ts'
import type { SocketKind, SocketSettings } from '../socket/context.ts'
import type { Timed, TimerWheel } from '../socket/timer-wheel.ts'
import type { CompiledValidator } from '../socket/validator.ts'
import { ClaimError, verifyToken } from './authentication.ts'
import { Capacity } from './capacity.ts'
import type { Gate, Handshake } from './gate.ts'
import { isAllowedOrigin } from './origin.ts'

/** Where a WebSocket route keeps what this package knows of it, in its `config`. */
export const kRoute = Symbol('fastify-realtime.route')

/** A WebSocket route, as the handshake sees it. */
export interface Route {
  readonly kind: SocketKind
  readonly settings: RouteSettings
  /** Compiled at boot from `schema.message`. */
  validator?: CompiledValidator
  /** @fastify/rate-limit's own hook, where the route has it: run here, before tokens are verified. */
  limiter?: onRequestAsyncHookHandler
}

export interface AdmissionOptions {
  readonly gate: Gate
  readonly server: ws.WebSocketServer
  readonly broker: Broker
  readonly wheel: TimerWheel
  readonly limits: { readonly total: number; readonly perAddress: number; readonly perUser: number }
  isDraining(): boolean
  /** Seconds, for Retry-After. */
  retryAfter(): number
  refused(error: FastifyError, request: IncomingMessage): void
}

type Check = (attempt: Attempt) => unknown

interface Attempt {
  readonly handshake: Handshake
  readonly request: FastifyRequest
  readonly reply: FastifyReply
  readonly route: Route
  claims: Claims | null
}

/** How a fault is told to a browser that was let in to hear it. Anything else is always plain HTTP. */
const CLOSE_FOR: Readonly<Record<string, CloseCode>> = {
  FST_RT_SUBPROTOCOL: CLOSE.subprotocol,
  FST_RT_UNAUTHORIZED: CLOSE.unauthorized,
  FST_RT_USER_CAPACITY: CLOSE.tooManyConnections
}
const RETRIABLE = new Set([429, 503])

const LEASE_TTL = 30_000
const KEY = /^[+/0-9A-Za-z]{22}==$/

/** Decides on each request for an upgrade, cheapest check first. Refusals are answered here; nothing is thrown. */
export class Admission {
  readonly #options: AdmissionOptions
  readonly #capacity: Capacity
  readonly #checks: readonly Check[]

  constructor(options: AdmissionOptions) {
    this.#options = options
    this.#capacity = new Capacity(options.limits)
    this.#checks = [
      () => this.#checkDraining(),
      checkRoute,
      checkUpgrade,
      checkOrigin,
      (attempt) => this.#checkCapacity(attempt),
      checkRate,
      checkSubprotocol,
      authenticate,
      (attempt) => this.#checkUserCapacity(attempt)
    ]
  }

  /** Connections and handshakes under way. */
  get used(): number {
    return this.#capacity.used
  }

  /** The onRequest hook of every upgrade. Resolves with the reply where it was refused. */
  async admit(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply | undefined> {
    const handshake = this.#options.gate.handshakeOf(request.raw)
    if (handshake === undefined) return undefined
    const route = (request.routeOptions.config as { [kRoute]?: Route })[kRoute] ?? NO_ROUTE
    const attempt: Attempt = { handshake, request, reply, route, claims: null }
    try {
      for (const check of this.#checks) {
        const pending = check(attempt)
        if (pending === undefined) continue
        await pending
        // The peer went, or the deadline passed, while we waited: there is nobody to answer.
        if (handshake.stream.destroyed) return reply.hijack()
      }
    } catch (error) {
      return handshake.stream.destroyed ? reply.hijack() : this.#refuse(attempt, error as FastifyError)
    }
    handshake.settings = this.#settings(attempt, route.kind)
    return undefined
  }

  #settings({ handshake, request, route, claims: user }: Attempt, kind: SocketKind): SocketSettings {
    const { heartbeat, limits } = route.settings
    const { wheel } = this.#options
    return {
      id: connectionId(handshake.stream),
      kind,
      user,
      // By the monotonic clock from here on: a server's clock that is set must not close everybody.
      expiresAt: user?.exp === undefined ? Number.POSITIVE_INFINITY : wheel.now() + user.exp * 1000 - Date.now(),
      heartbeat,
      limits,
      validator: route.validator,
      route: request.routeOptions.url as string,
      log: request.log
    }
  }

  #checkDraining(): void {
    if (this.#options.isDraining()) throw new DrainingError()
  }

  #checkCapacity({ handshake, request }: Attempt): void {
    if (!this.#capacity.take(handshake.stream, request.ip)) throw new CapacityError()
  }

  #checkUserCapacity({ handshake, claims, request }: Attempt): Promise<void> | undefined {
    const limit = this.#options.limits.perUser
    if (limit === Number.POSITIVE_INFINITY || claims?.sub === undefined) return undefined
    const lease = new Lease(this.#options, `user:${claims.sub}`, handshake.stream, limit, (err) =>
      request.log.warn({ err }, 'per-user limit not enforced: the broker is unavailable')
    )
    return lease.take()
  }

  #refuse(attempt: Attempt, error: FastifyError): FastifyReply {
    const { request, reply, route } = attempt
    this.#options.refused(error, request.raw)
    // @fastify/rate-limit's refusal, or a callback of the application's failed: its error handler answers, and logs.
    if (!error.code?.startsWith('FST_RT_')) throw error
    request.log.info({ code: error.code, reason: reasonOf(error) }, 'handshake refused')
    const close = CLOSE_FOR[error.code]
    const asClose = close !== undefined && refusesByClose(route.settings.auth, request)
    return asClose ? this.#acceptAndClose(attempt, close) : this.#answer(reply, error)
  }

  #answer(reply: FastifyReply, { code, message, statusCode = 500 }: FastifyError): FastifyReply {
    if (RETRIABLE.has(statusCode) && !reply.hasHeader('retry-after')) {
      reply.header('retry-after', this.#options.retryAfter())
    }
    if (statusCode === 401) reply.header('www-authenticate', 'Bearer')
    if (message === BAD_VERSION) reply.header('sec-websocket-version', '13')
    reply.header('connection', 'close')
    return reply.code(statusCode).send({ statusCode, code, error: STATUS_CODES[statusCode], message })
  }

  /** A browser sees every refused handshake as 1006, and retries for ever: let it in to hear why, and close. */
  #acceptAndClose(attempt: Attempt, { code, reason }: CloseCode): FastifyReply {
    const { handshake, request, reply } = attempt
    reply.hijack()
    handshake.settings = this.#settings({ ...attempt, claims: null }, 'refused')
    this.#options.server.handleUpgrade(request.raw, handshake.stream, handshake.head, (socket) => {
      socket.close(code, reason)
    })
    return reply
  }
}

const BAD_VERSION = new BadHandshakeError('Sec-WebSocket-Version must be 13').message

const ids = new WeakMap<Duplex, string>()

function connectionId(stream: Duplex): string {
  let id = ids.get(stream)
  if (id === undefined) {
    id = randomUUID()
    ids.set(stream, id)
  }
  return id
}

/** Why, for the log: a code, or a sentence of ours. A library's message may quote the token. */
function reasonOf({ cause }: FastifyError & { cause?: unknown }): string | undefined {
  if (!(cause instanceof Error)) return undefined
  return (cause as FastifyError).code ?? (cause instanceof ClaimError ? cause.message : undefined)
}

function refusesByClose(auth: ResolvedAuth | false, request: FastifyRequest): boolean {
  const refuse = auth === false ? 'auto' : auth.refuse
  return refuse === 'close' || (refuse === 'auto' && request.headers.origin !== undefined)
}

// What an upgrade to a route that is none of ours meets: nothing but its refusal.
const NO_ROUTE: Route = { kind: 'refused', settings: { ...DEFAULTS, origins: undefined } }

function checkRoute({ route }: Attempt): void {
  if (route === NO_ROUTE) throw new NotWebSocketRouteError()
}

/** What `ws` would refuse after all hooks, for which it offers no way to answer in JSON (RFC 6455 section 4.2.1). */
function checkUpgrade({ request }: Attempt): void {
  const { headers } = request
  if (headers['sec-websocket-version'] !== '13') throw new BadHandshakeError('Sec-WebSocket-Version must be 13')
  if (!KEY.test(headers['sec-websocket-key'] ?? '')) throw new BadHandshakeError('Sec-WebSocket-Key')
  const extensions = headers['sec-websocket-extensions']
  if (extensions !== undefined && !isAcceptable(extensions)) throw new BadHandshakeError('Sec-WebSocket-Extensions')
}

// Exported by ws, and left out by its types.
const { extension, PerMessageDeflate } = ws as unknown as {
  extension: { parse(header: string): Record<string, unknown> }
  PerMessageDeflate: { extensionName: string; new (options: { isServer: boolean }): { accept(offers: unknown): void } }
}

/** False where the offer is no extension list, or asks permessage-deflate for what it hasn't (RFC 7692 section 7.1). */
function isAcceptable(extensions: string): boolean {
  try {
    const deflate = extension.parse(extensions)[PerMessageDeflate.extensionName]
    if (deflate !== undefined) new PerMessageDeflate({ isServer: true }).accept(deflate)
    return true
  } catch {
    return false // that it throws is the answer
  }
}

async function checkOrigin({ request, route }: Attempt): Promise<void> {
  const { origin } = request.headers
  if (origin === undefined) return
  if (!(await isAllowedOrigin(origin, request, route.settings.origins))) throw new ForbiddenOriginError()
}

function checkRate({ request, reply, route }: Attempt): Promise<unknown> | undefined {
  return route.limiter?.call(request.server, request, reply)
}

function checkSubprotocol({ handshake }: Attempt): void {
  const { offered, fault, protocols } = handshake.offer
  if (fault !== undefined || (offered && protocols.length === 0)) throw new SubprotocolError()
}

async function authenticate(attempt: Attempt): Promise<void> {
  const { request, route, handshake } = attempt
  const { auth } = route.settings
  if (auth === false) return
  const token = findToken(handshake, request, auth)
  if (token === undefined) throw new UnauthorizedError()
  attempt.claims = await verifyToken(token, request, auth)
}

const BEARER = /^bearer +([^ ]+)$/i

function findToken({ offer, urlToken }: Handshake, request: FastifyRequest, { sources }: ResolvedAuth) {
  // A token in the URL stands in every proxy's log by now: saying no is how its sender learns of it.
  if (urlToken !== undefined && !sources.includes('query')) return undefined
  const tokens = [
    sources.includes('subprotocol') ? offer.token : undefined,
    sources.includes('authorization') ? BEARER.exec(request.headers.authorization ?? '')?.[1] : undefined,
    urlToken
  ].filter((token) => token !== undefined)
  return tokens[0]
}

/** One of a user's places, over all nodes: renewed while the connection lives, gone by itself if this node dies. */
class Lease implements Timed {
  readonly #options: AdmissionOptions
  readonly #key: string
  readonly #stream: Duplex
  readonly #limit: number
  readonly #warn: (error: unknown) => void
  wheelTick = -1

  constructor(options: AdmissionOptions, key: string, stream: Duplex, limit: number, warn: (error: unknown) => void) {
    this.#options = options
    this.#key = key
    this.#stream = stream
    this.#limit = limit
    this.#warn = warn
  }

  async take(): Promise<void> {
    this.#stream.once('close', () => this.#release())
    if (!(await this.#acquire())) throw new UserCapacityError()
    // Gone meanwhile: what was just taken is given back.
    if (this.#stream.destroyed) this.#release()
    else this.#schedule()
  }

  onDue(): number {
    void this.#acquire()
    return this.#options.wheel.now() + LEASE_TTL / 3
  }

  /** Without a broker nobody can be counted: a limit that locks everybody out would be worse than none. */
  async #acquire(): Promise<boolean> {
    const { broker } = this.#options
    try {
      return await broker.acquireLease(this.#key, connectionId(this.#stream), this.#limit, LEASE_TTL)
    } catch (error) {
      this.#warn(error)
      return true
    }
  }

  #schedule(): void {
    this.#options.wheel.set(this, this.#options.wheel.now() + LEASE_TTL / 3)
  }

  #release(): void {
    this.#options.wheel.delete(this)
    this.#options.broker.releaseLease(this.#key, connectionId(this.#stream)).catch(this.#warn)
  }
}
