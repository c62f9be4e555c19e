import { type IncomingMessage, STATUS_CODES } from 'node:http'
import type { FastifyError, FastifyReply, FastifyRequest, onRequestAsyncHookHandler } from 'fastify'
import type { WebSocketServer } from 'ws'
import type { Broker } from '../broker/broker.ts'
import type { ConnectionKind, ConnectionSettings } from '../connection/connection.ts'
import {
  BadHandshakeError,
  CapacityError,
  DismissedError,
  DrainingError,
  ForbiddenOriginError,
  NotWebSocketRouteError,
  SubprotocolError
} from '../errors.ts'
import { GuardedLog } from '../input/guarded-log.ts'
import type { CompiledValidator } from '../input/validator.ts'
import { type Claims, DEFAULTS, type RouteSettings } from '../options/options.ts'
import { CLOSE, type CloseCode } from '../protocol/close-codes.ts'
import { DISCONNECT, type Disconnect, disconnectFor } from '../protocol/disconnect-codes.ts'
import type { TimerWheel } from '../timing/timer-wheel.ts'
import { authenticate } from './authentication.ts'
import { Capacity } from './capacity.ts'
import { isExpired } from './claim-rules.ts'
import type { Dismissals } from './dismissals.ts'
import type { Gate, Handshake } from './gate.ts'
import { Lease } from './lease.ts'
import { originFault } from './origin.ts'
import { REDACTED } from './redaction.ts'
import { because, loggedReason, RefusalReason } from './refusal-reason.ts'
import { BAD_VERSION, upgradeFault } from './upgrade-request.ts'

/** Where a WebSocket route keeps what this package knows of it, in its `config`. */
export const kRoute = Symbol('fastify-realtime.route')

/** A WebSocket route, as the handshake sees it. */
export interface Route {
  readonly kind: ConnectionKind
  readonly settings: RouteSettings
  /** Compiled at boot from `schema.message`. */
  validator?: CompiledValidator
  /** @fastify/rate-limit's own hook, where the route has it: run here, before tokens are verified. */
  limiter?: onRequestAsyncHookHandler
}

export interface AdmissionOptions {
  readonly gate: Gate
  readonly server: WebSocketServer
  readonly broker: Broker
  readonly wheel: TimerWheel
  /** Closes a connection that has lost its place. False if it is not open. */
  evict(connection: string): boolean
  readonly limits: { readonly total: number; readonly perAddress: number; readonly perUser: number }
  readonly dismissals: Dismissals
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
/** The same for what a route's own hooks and schemas refuse with, by status. */
const CLOSE_FOR_STATUS: Readonly<Record<number, CloseCode>> = {
  400: CLOSE.badRequest,
  401: CLOSE.unauthorized,
  403: CLOSE.forbidden
}
const RETRIABLE = new Set([429, 503])

/** Decides on each request for an upgrade, cheapest check first. Refusals are answered here; nothing is thrown. */
export class Admission {
  readonly #options: AdmissionOptions
  readonly #capacity: Capacity
  readonly #checks: readonly Check[]
  /** Requests whose answer is an error that nobody but Fastify put into words. */
  readonly #failed = new WeakSet<FastifyRequest>()

  constructor(options: AdmissionOptions) {
    this.#options = options
    this.#capacity = new Capacity(options.limits)
    // What a message may grow to is known to each socket; ws inflates by its server's bound, 100 MiB by default.
    options.server.options.maxPayload = 1
    this.#checks = [
      () => this.#checkDraining(),
      checkRoute,
      checkUpgrade,
      checkOrigin,
      (attempt) => this.#checkCapacity(attempt),
      checkRate,
      checkSubprotocol,
      (attempt) => this.#authenticate(attempt),
      (attempt) => this.#checkUserCapacity(attempt),
      // Once more: the drain may have begun, and ended, while one of those took its time.
      () => this.#checkDraining()
    ]
  }

  /** A route is declared: no message needs more room than the largest that one of them takes. */
  declared({ settings: { limits } }: Route): void {
    const { options } = this.#options.server
    options.maxPayload = Math.max(options.maxPayload as number, limits.maxPayload)
  }

  /** The onRequest hook of every upgrade. Resolves with the reply where it was refused. */
  async admit(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply | undefined> {
    const route = routeOf(request)
    const handshake = this.#options.gate.handshakeOf(request.raw)
    if (handshake === undefined) {
      // The route may answer plain requests too, and its limit holds for them.
      await route.limiter?.call(request.server, request, reply)
      return undefined
    }
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
    if (route.settings.auth === false) giveBackUrlTokens(handshake, request)
    handshake.settings = this.#settings(attempt, route.kind)
    return undefined
  }

  /**
   * The last preHandler hook of a WebSocket route. From its call to the 101 nothing may wait: what happens meanwhile
   * would not know of this connection. Gives the reply if the handshake was refused.
   */
  complete(request: FastifyRequest, reply: FastifyReply): FastifyReply | undefined {
    const handshake = this.#options.gate.handshakeOf(request.raw)
    if (handshake === undefined) return undefined
    const attempt: Attempt = { handshake, request, reply, route: routeOf(request), claims: null }
    // Hooks may take long.
    if (this.#options.isDraining()) return this.#refuse(attempt, new DrainingError())
    const user = (handshake.settings as ConnectionSettings).user?.sub
    if (user === undefined) return undefined
    const { dismissals } = this.#options
    const { mark } = handshake
    const dismissal = dismissals.since(mark, user)
    if (dismissal !== undefined) return this.#refuse(attempt, new DismissedError(), dismissal)
    dismissals.catchUp(mark, user, handshake.id)
    return undefined
  }

  /** The onError hook of a WebSocket route. */
  failed(request: FastifyRequest): void {
    this.#failed.add(request)
  }

  /**
   * The onSend hook of a WebSocket route: whatever its own hooks and schemas answer an upgrade with passes here. Gives
   * the payload to send, or undefined where the refusal went out as a close code.
   */
  refusedByHook(request: FastifyRequest, reply: FastifyReply, payload: unknown): { payload: unknown } | undefined {
    const handshake = this.#options.gate.handshakeOf(request.raw)
    if (handshake === undefined) return { payload }
    const { statusCode } = reply
    // The connection ends with the answer: a proxy that kept it for its next request would lose that one.
    reply.header('connection', 'close')
    const attempt: Attempt = { handshake, request, reply, route: routeOf(request), claims: null }
    const close = CLOSE_FOR_STATUS[statusCode]
    // Without settings it was refused here, and what it was to be told is decided.
    const isHooks = handshake.settings !== undefined && !handshake.stream.destroyed
    if (isHooks && close !== undefined && refusesByClose(attempt)) {
      const log = new GuardedLog(request.log)
      log.info({ statusCode }, 'handshake refused')
      this.#acceptAndClose(attempt, close)
      return undefined
    }
    // Fastify's default answer quotes the error, and an unforeseen one may quote anything.
    if (statusCode !== 500 || !this.#failed.has(request)) return { payload }
    const error = STATUS_CODES[statusCode] as string
    return { payload: JSON.stringify({ statusCode, error, message: error }) }
  }

  #settings({ handshake, request, route, claims: user }: Attempt, kind: ConnectionKind): ConnectionSettings {
    const { heartbeat, limits } = route.settings
    const { wheel } = this.#options
    return {
      id: handshake.id,
      kind,
      user,
      // By the monotonic clock from here on: a server's clock that is set must not close everybody.
      expiresAt: user?.exp === undefined ? Number.POSITIVE_INFINITY : wheel.now() + user.exp * 1000 - Date.now(),
      begunAt: handshake.begunAt,
      heartbeat,
      limits,
      validator: route.validator,
      route: request.routeOptions.url as string,
      log: new GuardedLog(request.log)
    }
  }

  #checkDraining(): void {
    if (this.#options.isDraining()) throw new DrainingError()
  }

  #checkCapacity({ handshake, request }: Attempt): void {
    const full = this.#capacity.take(handshake.stream, request)
    if (full !== undefined)
      throw because(new CapacityError(), new RefusalReason(`limits.connections.${full} is reached`))
  }

  async #authenticate(attempt: Attempt): Promise<void> {
    const { handshake, request, route } = attempt
    const { auth } = route.settings
    if (auth === false) return
    const identity = await authenticate(handshake, request, auth, route.kind === 'channels')
    if (identity === undefined) return
    identity.adopt()
    attempt.claims = identity.claims
  }

  /** Takes one of a user's places for a connection whose owner became known after its handshake. */
  async admitUser(request: FastifyRequest, { sub }: Claims): Promise<boolean> {
    const limit = this.#options.limits.perUser
    const handshake = this.#options.gate.handshakeOf(request.raw)
    if (limit === Number.POSITIVE_INFINITY || handshake === undefined) return true
    try {
      await new Lease(this.#options, `user:${sub}`, handshake, limit, new GuardedLog(request.log)).take()
      return true
    } catch {
      return false // a lease rejects for one reason only
    }
  }

  #checkUserCapacity({ handshake, claims, request }: Attempt): Promise<void> | undefined {
    const limit = this.#options.limits.perUser
    if (limit === Number.POSITIVE_INFINITY || claims?.sub === undefined) return undefined
    return new Lease(this.#options, `user:${claims.sub}`, handshake, limit, new GuardedLog(request.log)).take()
  }

  #refuse(attempt: Attempt, error: FastifyError, dismissal?: Disconnect): FastifyReply {
    const { request, reply } = attempt
    this.#options.refused(error, request.raw)
    // @fastify/rate-limit's refusal, or a callback of the application's failed: its error handler answers, and logs.
    if (!isOurs(error)) throw error
    const log = new GuardedLog(request.log)
    log.info({ code: error.code, ...loggedReason(error) }, 'handshake refused')
    const close = closeFor(attempt, error, dismissal)
    return close !== undefined && refusesByClose(attempt)
      ? this.#acceptAndClose(attempt, close)
      : this.#answer(reply, error)
  }

  #answer(reply: FastifyReply, { code, message, statusCode = 500 }: FastifyError): FastifyReply {
    if (RETRIABLE.has(statusCode) && !reply.hasHeader('retry-after')) {
      reply.header('retry-after', this.#options.retryAfter())
    }
    if (statusCode === 401) reply.header('www-authenticate', 'Bearer')
    if (message.endsWith(BAD_VERSION)) reply.header('sec-websocket-version', '13')
    reply.header('connection', 'close')
    return reply.code(statusCode).send({ statusCode, code, error: STATUS_CODES[statusCode], message })
  }

  /** A browser sees every refused handshake as 1006, and retries for ever: let it in to hear why, and close. */
  #acceptAndClose(attempt: Attempt, { code, reason }: Disconnect): FastifyReply {
    const { handshake, request, reply } = attempt
    reply.hijack()
    handshake.settings = this.#settings({ ...attempt, claims: null }, 'refused')
    this.#options.server.handleUpgrade(request.raw, handshake.stream, handshake.head, (socket) => {
      socket.close(code, reason)
    })
    return reply
  }
}

/** How a browser is told, in the words of the protocol that it meant to speak. */
function closeFor({ route }: Attempt, error: FastifyError, dismissal: Disconnect | undefined): Disconnect | undefined {
  const close = dismissal ?? CLOSE_FOR[error.code]
  if (close === undefined || route.kind !== 'channels') return close
  return close === CLOSE.unauthorized && !isExpired(error) ? DISCONNECT.invalidToken : disconnectFor(close)
}

/** @fastify/rate-limit throws what the application has it throw, and that may be anything. */
function isOurs(error: unknown): error is FastifyError {
  const { code } = (error ?? {}) as { code?: unknown }
  return typeof code === 'string' && code.startsWith('FST_RT_')
}

function refusesByClose({ handshake, request, route }: Attempt): boolean {
  const { auth } = route.settings
  const { offered, protocols } = handshake.offer
  // A browser that offered protocols fails a connection that selects none, and would not hear the code either.
  if (offered && protocols.length === 0) return false
  const refuse = auth === false ? 'auto' : auth.refuse
  return refuse === 'close' || (refuse === 'auto' && request.headers.origin !== undefined)
}

function routeOf(request: FastifyRequest): Route {
  return (request.routeOptions.config as { [kRoute]?: Route })[kRoute] ?? NO_ROUTE
}

/** What authenticates its connections itself may read their tokens, where no log serializer looks. */
function giveBackUrlTokens({ urlTokens }: Handshake, request: FastifyRequest): void {
  const query = request.query as Record<string, unknown>
  for (const { name, value } of urlTokens) if (query[name] === REDACTED) query[name] = value
}

// What an upgrade to a route that is none of ours meets: nothing but its refusal.
const NO_ROUTE: Route = { kind: 'refused', settings: { ...DEFAULTS, origins: undefined } }

function checkUpgrade({ request }: Attempt): void {
  const fault = upgradeFault(request.raw)
  if (fault !== undefined) throw because(new BadHandshakeError(fault), new RefusalReason(fault))
}

function checkRoute({ route }: Attempt): void {
  if (route === NO_ROUTE) throw new NotWebSocketRouteError()
}

async function checkOrigin({ request, route }: Attempt): Promise<void> {
  const { origin } = request.headers
  if (origin === undefined) return
  const fault = await originFault(origin, request, route.settings.origins)
  if (fault !== undefined) throw because(new ForbiddenOriginError(), fault)
}

function checkRate({ request, reply, route }: Attempt): Promise<unknown> | undefined {
  return route.limiter?.call(request.server, request, reply)
}

function checkSubprotocol({ handshake }: Attempt): void {
  const { offered, fault, protocols } = handshake.offer
  const reason = fault ?? (offered && protocols.length === 0 ? 'protocol' : undefined)
  if (reason !== undefined) throw because(new SubprotocolError(), new RefusalReason(OFFER_FAULTS[reason]))
}

const OFFER_FAULTS = {
  malformed: 'the subprotocol offer is malformed, or repeats an entry',
  credential: 'the subprotocol offer holds no token or several where one belongs: offer realtime.v1, bearer.<token>',
  protocol: 'the subprotocol offer is a token alone: offer realtime.v1 too, for the server to select'
}
