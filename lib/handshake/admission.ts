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
import type { Disconnect } from '../protocol/disconnect-codes.ts'
import type { TimerWheel } from '../timing/timer-wheel.ts'
import { authenticate } from './authentication.ts'
import type { Dismissals } from './dismissals.ts'
import { type Attempt, type Handshake, handshakeOf } from './handshake.ts'
import { originFault } from './origin.ts'
import type { Places } from './places.ts'
import { REDACTED } from './redaction.ts'
import type { Refusals } from './refusal.ts'
import { because, RefusalReason } from './refusal-reason.ts'
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

/** Throws or rejects to refuse. */
type Check = (attempt: Attempt) => Eventual<unknown>

/** Decides on each request for an upgrade that is for Fastify. Every refusal is answered by `Refusals`. */
export class Admission {
  readonly #options: AdmissionOptions
  readonly #checks: readonly Check[]

  constructor(options: AdmissionOptions) {
    this.#options = options
    // Each socket knows how large its messages may be. ws inflates by its server's bound, 100 MiB by default.
    options.server.options.maxPayload = 1
    // The cheapest first.
    this.#checks = [
      () => this.#checkDraining(),
      checkRoute,
      checkUpgrade,
      checkOrigin,
      ({ handshake, request }) => options.places.take(handshake, request),
      checkRate,
      checkSubprotocol,
      checkIdentity,
      ({ handshake, request, claims }) => claims?.sub && options.places.takeOf(claims.sub, handshake, request),
      // Once more: the drain may have begun, and ended, while one of the others waited.
      () => this.#checkDraining()
    ]
  }

  /** A route is declared: no message may be larger than the largest that a route takes. */
  declared({ settings: { limits } }: Route): void {
    const { options } = this.#options.server
    options.maxPayload = Math.max(options.maxPayload as number, limits.maxPayload)
  }

  /**
   * The onRequest hook of every request. True if the request goes on, false if its upgrade is refused and answered. Throws
   * or rejects with what is Fastify's to answer.
   */
  admit(request: FastifyRequest, reply: FastifyReply): Eventual<boolean> {
    const route = routeOf(request)
    const handshake = handshakeOf(request.raw)
    if (handshake === undefined) return limitPlain(request, reply, route)
    const attempt: Attempt = { handshake, request, reply, route, claims: null }
    let checked: Eventual<void>
    try {
      checked = this.#check(attempt, 0)
    } catch (error) {
      return this.#refuse(attempt, error)
    }
    if (!isPromise<void>(checked)) return this.#accept(attempt)
    return checked.then(
      () => (handshake.stream.destroyed ? dismiss(reply) : this.#accept(attempt)),
      (error) => this.#refuse(attempt, error)
    )
  }

  /** Runs the checks from that one on, until one refuses or the stream is gone. */
  #check(attempt: Attempt, from: number): Eventual<void> {
    for (let at = from; at < this.#checks.length; at++) {
      const pending = (this.#checks[at] as Check)(attempt)
      if (!isPromise(pending)) continue
      return pending.then(() => (attempt.handshake.stream.destroyed ? undefined : this.#check(attempt, at + 1)))
    }
  }

  #accept(attempt: Attempt): true {
    const { handshake, request, route } = attempt
    if (route.settings.auth === false) giveBackUrlTokens(handshake, request)
    handshake.settle(attempt, route.kind, this.#options.wheel)
    return true
  }

  #refuse(attempt: Attempt, error: unknown): false {
    if (attempt.handshake.stream.destroyed) return dismiss(attempt.reply)
    this.#options.refusals.answer(attempt, errorOf(error) as FastifyError)
    return false
  }

  /**
   * The last preHandler hook of a WebSocket route. From its call to the 101 nothing may wait: what happens meanwhile
   * would not find this connection. True if the request goes on, false if the handshake is refused and answered.
   */
  complete(request: FastifyRequest, reply: FastifyReply): boolean {
    const handshake = handshakeOf(request.raw)
    if (handshake === undefined) return true
    const { dismissals, refusals } = this.#options
    const attempt: Attempt = { handshake, request, reply, route: routeOf(request), claims: null }
    const refuse = (error: FastifyError, dismissal?: Disconnect) => {
      refusals.answer(attempt, error, dismissal)
      return false
    }
    // Hooks may take long.
    if (this.#options.isDraining()) return refuse(new DrainingError())
    const user = (handshake.settings as ConnectionSettings).user?.sub
    if (user === undefined) return true
    const { mark } = handshake
    const dismissal = dismissals.since(mark, user)
    if (dismissal !== undefined) return refuse(new DismissedError(), dismissal)
    dismissals.catchUp(mark, user, handshake.id)
    return true
  }

  /** Takes one of a user's places for a connection whose user became known after its handshake. False if there is none. */
  async admitUser(request: FastifyRequest, { sub }: Claims): Promise<boolean> {
    try {
      await this.#options.places.takeOf(sub, handshakeOf(request.raw) as Handshake, request)
      return true
    } catch {
      return false // it rejects for one reason only
    }
  }

  #checkDraining(): void {
    if (this.#options.isDraining()) throw new DrainingError()
  }
}

/** The route may answer plain requests too, and its limit holds for them. */
function limitPlain(request: FastifyRequest, reply: FastifyReply, { limiter }: Route): Eventual<boolean> {
  if (limiter === undefined) return true
  return limiter.call(request.server, request, reply).then(
    () => true,
    (error: unknown) => Promise.reject(errorOf(error))
  )
}

/** The peer left, or the deadline passed: nobody is there to answer. */
function dismiss(reply: FastifyReply): false {
  reply.hijack()
  return false
}

/** An application may throw anything. If Fastify gets undefined for an error, it goes on with the request. */
function errorOf(thrown: unknown): unknown {
  return thrown || new Error('refused without an error')
}

function checkRoute({ route }: Attempt): void {
  if (route === NO_ROUTE) throw new NotWebSocketRouteError()
}

function checkUpgrade({ request }: Attempt): void {
  const fault = upgradeFault(request.raw)
  if (fault !== undefined) throw because(new BadHandshakeError(fault), new RefusalReason(fault))
}

function checkOrigin({ request, route }: Attempt): Eventual<void> {
  const { origin } = request.headers
  if (origin === undefined) return
  return andThen(originFault(origin, request, route.settings.origins), (fault) => {
    if (fault !== undefined) throw because(new ForbiddenOriginError(), fault)
  })
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

/** An application that verifies its clients itself may read their tokens, where no log serializer looks. */
function giveBackUrlTokens({ urlTokens }: Handshake, request: FastifyRequest): void {
  const query = request.query as Record<string, unknown>
  for (const { name, value } of urlTokens) if (query[name] === REDACTED) query[name] = value
}
