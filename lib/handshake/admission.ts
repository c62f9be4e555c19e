import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import type { WebSocketServer } from 'ws'
import type { ConnectionSettings } from '../connection/connection.ts'
import {
  BadHandshakeError,
  DismissedError,
  DrainingError,
  ForbiddenOriginError,
  NotWebSocketRouteError,
  SubprotocolError
} from '../errors.ts'
import { andThen, type Eventual, isPromise } from '../input/eventual.ts'
import type { Claims } from '../options/options.ts'
import type { TimerWheel } from '../timing/timer-wheel.ts'
import { authenticate } from './authentication.ts'
import type { Dismissals } from './dismissals.ts'
import { type Attempt, type Handshake, handshakeOf } from './handshake.ts'
import { originFault } from './origin.ts'
import type { Places } from './places.ts'
import { REDACTED } from './redaction.ts'
import type { Refusals } from './refusal.ts'
import { RefusalReason, withCause } from './refusal-reason.ts'
import { NO_ROUTE, type Route, routeOf } from './route.ts'
import { upgradeFault } from './upgrade-request.ts'

export interface AdmissionOptions {
  readonly server: WebSocketServer
  readonly wheel: TimerWheel
  readonly places: Places
  readonly refusals: Refusals
  readonly dismissals: Dismissals
  isDraining(): boolean
}

/** Throws or rejects to refuse the handshake. */
type Check = (attempt: Attempt) => Eventual<unknown>

/** Decides whether to admit each upgrade request that is for Fastify. `Refusals` answers the refused requests. */
export class Admission {
  readonly #options: AdmissionOptions
  readonly #checks: readonly Check[]

  constructor(options: AdmissionOptions) {
    this.#options = options
    // Each socket has its own limit for messages. But ws inflates up to the limit of its server, by default 100 MiB.
    options.server.options.maxPayload = 1
    // The cheapest check comes first.
    this.#checks = [
      () => this.#checkDraining(),
      checkRoute,
      checkUpgrade,
      checkOrigin,
      ({ handshake, request }) => options.places.take(handshake, request),
      checkRate,
      checkSubprotocol,
      checkIdentity,
      ({ handshake, request, claims }) => claims?.sub && options.places.takeForUser(claims.sub, handshake, request),
      // Check again, because the drain may have begun, and ended, while another check waited.
      () => this.#checkDraining()
    ]
  }

  /** Called for each declared route: the limit of the server is the largest limit of a route. */
  declared({ settings: { limits } }: Route): void {
    const { options } = this.#options.server
    options.maxPayload = Math.max(options.maxPayload as number, limits.maxPayload)
  }

  /**
   * The onRequest hook of every request. Returns true if the request continues, and false if its upgrade was refused
   * and answered. Throws or rejects with an error that Fastify must answer.
   */
  admit(request: FastifyRequest, reply: FastifyReply): Eventual<boolean> {
    const route = routeOf(request)
    const handshake = handshakeOf(request.raw)
    if (handshake === undefined) return limitPlain(request, reply, route)
    // It may have ended during an earlier hook. Then nothing would give its place back.
    if (handshake.stream.destroyed) return abandon(reply)
    const attempt: Attempt = { handshake, request, reply, route, claims: null }
    let checked: Eventual<void>
    try {
      checked = this.#runChecks(attempt, 0)
    } catch (error) {
      return this.#refuse(attempt, error)
    }
    if (!isPromise<void>(checked)) return this.#accept(attempt)
    return checked.then(
      () => (handshake.stream.destroyed ? abandon(reply) : this.#accept(attempt)),
      (error) => this.#refuse(attempt, error)
    )
  }

  /** Runs the checks, beginning at index `from`, until one refuses or the stream is destroyed. */
  #runChecks(attempt: Attempt, from: number): Eventual<void> {
    for (let at = from; at < this.#checks.length; at++) {
      const pending = (this.#checks[at] as Check)(attempt)
      if (!isPromise(pending)) continue
      return pending.then(() => (attempt.handshake.stream.destroyed ? undefined : this.#runChecks(attempt, at + 1)))
    }
  }

  #accept(attempt: Attempt): true {
    const { handshake, request, route } = attempt
    if (route.settings.auth === false) restoreUrlTokens(handshake, request)
    handshake.createSettings(attempt, route.kind, this.#options.wheel)
    return true
  }

  #refuse(attempt: Attempt, error: unknown): false {
    if (attempt.handshake.stream.destroyed) return abandon(attempt.reply)
    this.#options.refusals.answer(attempt, errorOf(error) as FastifyError)
    return false
  }

  /**
   * The last preHandler hook of a WebSocket route. From this call to the 101 nothing may wait: a request to disconnect
   * the user that is made meanwhile would not find this connection. Returns true if the request continues, and false if
   * the handshake was refused and answered.
   */
  complete(request: FastifyRequest, reply: FastifyReply): boolean {
    const handshake = handshakeOf(request.raw)
    if (handshake === undefined) return true
    const { dismissals, refusals } = this.#options
    const attempt: Attempt = { handshake, request, reply, route: routeOf(request), claims: null }
    // The drain may have begun while the hooks ran.
    if (this.#options.isDraining()) {
      refusals.answer(attempt, new DrainingError())
      return false
    }
    const user = (handshake.settings as ConnectionSettings).user?.sub
    if (user === undefined) return true
    const { mark } = handshake
    const dismissal = dismissals.since(mark, user)
    if (dismissal !== undefined) {
      refusals.answer(attempt, new DismissedError(), dismissal)
      return false
    }
    dismissals.catchUp(mark, user, handshake.id)
    return true
  }

  /** Takes a place of a user for a connection whose user is known only after its handshake. False if none is free. */
  async admitUser(request: FastifyRequest, { sub }: Claims): Promise<boolean> {
    try {
      await this.#options.places.takeForUser(sub, handshakeOf(request.raw) as Handshake, request)
      return true
    } catch {
      return false // `takeForUser` rejects only if no place is free
    }
  }

  #checkDraining(): void {
    if (this.#options.isDraining()) throw new DrainingError()
  }
}

/** A route may also answer plain requests. Its rate limit applies to them too. */
function limitPlain(request: FastifyRequest, reply: FastifyReply, { limiter }: Route): Eventual<boolean> {
  if (limiter === undefined) return true
  return limiter.call(request.server, request, reply).then(
    () => true,
    (error: unknown) => Promise.reject(errorOf(error))
  )
}

/** The peer disconnected, or the deadline passed: there is no one to send an answer to. */
function abandon(reply: FastifyReply): false {
  reply.hijack()
  return false
}

/** An application may throw any value. If Fastify gets undefined as an error, it continues with the request. */
function errorOf(thrown: unknown): unknown {
  return thrown || new Error('refused without an error')
}

function checkRoute({ route }: Attempt): void {
  if (route === NO_ROUTE) throw new NotWebSocketRouteError()
}

function checkUpgrade({ request }: Attempt): void {
  const fault = upgradeFault(request.raw)
  if (fault !== undefined) throw withCause(new BadHandshakeError(fault), new RefusalReason(fault))
}

function checkOrigin({ request, route }: Attempt): Eventual<void> {
  const { origin } = request.headers
  if (origin === undefined) return
  return andThen(originFault(origin, request, route.settings.origins), (fault) => {
    if (fault !== undefined) throw withCause(new ForbiddenOriginError(), fault)
  })
}

function checkRate({ request, reply, route }: Attempt): Promise<unknown> | undefined {
  return route.limiter?.call(request.server, request, reply)
}

function checkSubprotocol({ handshake }: Attempt): void {
  const { offered, fault, protocols } = handshake.offer
  const reason = fault ?? (offered && protocols.length === 0 ? 'protocol' : undefined)
  if (reason !== undefined) throw withCause(new SubprotocolError(), new RefusalReason(OFFER_FAULTS[reason]))
}

const OFFER_FAULTS = {
  malformed: 'the subprotocol offer is malformed, or repeats an entry',
  credential: 'the subprotocol offer holds no token or several where one belongs: offer realtime.v1, bearer.<token>',
  protocol: 'the subprotocol offer is a token alone: offer realtime.v1 too, for the server to select'
}

function checkIdentity(attempt: Attempt): Eventual<void> {
  const { handshake, request, route } = attempt
  const { auth } = route.settings
  if (auth === false) return
  return andThen(authenticate(handshake, request, auth, route.kind === 'channels'), (identity) => {
    if (identity === undefined) return
    identity.adopt()
    attempt.claims = identity.claims
  })
}

/**
 * An application that verifies its clients by itself may read their tokens. Restores them in the query only, since log
 * serializers read the URL.
 */
function restoreUrlTokens({ urlTokens }: Handshake, request: FastifyRequest): void {
  const query = request.query as Record<string, unknown>
  for (const { name, value } of urlTokens) if (query[name] === REDACTED) query[name] = value
}
