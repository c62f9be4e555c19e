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
import type { Claims } from '../options/options.ts'
import type { TimerWheel } from '../timing/timer-wheel.ts'
import { type Attempt, connectionSettings, NO_ROUTE, type Route, routeOf } from './attempt.ts'
import { authenticate } from './authentication.ts'
import type { Dismissals } from './dismissals.ts'
import { type Handshake, handshakeOf } from './handshake.ts'
import { originFault } from './origin.ts'
import type { Places } from './places.ts'
import { REDACTED } from './redaction.ts'
import type { Refusals } from './refusal.ts'
import { because, RefusalReason } from './refusal-reason.ts'
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
type Check = (attempt: Attempt) => unknown

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

  /** The onRequest hook of every request. Resolves with the reply if an upgrade was refused. */
  async admit(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply | undefined> {
    const route = routeOf(request)
    const handshake = handshakeOf(request.raw)
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
        // The peer left, or the deadline passed, while the check waited: nobody is there to answer.
        if (handshake.stream.destroyed) return reply.hijack()
      }
    } catch (error) {
      return handshake.stream.destroyed ? reply.hijack() : this.#options.refusals.answer(attempt, error as FastifyError)
    }
    if (route.settings.auth === false) giveBackUrlTokens(handshake, request)
    handshake.settings = connectionSettings(attempt, route.kind, this.#options.wheel)
    return undefined
  }

  /**
   * The last preHandler hook of a WebSocket route. From its call to the 101 nothing may wait: what happens meanwhile
   * would not find this connection. Gives the reply if the handshake was refused.
   */
  complete(request: FastifyRequest, reply: FastifyReply): FastifyReply | undefined {
    const handshake = handshakeOf(request.raw)
    if (handshake === undefined) return undefined
    const { dismissals, refusals } = this.#options
    const attempt: Attempt = { handshake, request, reply, route: routeOf(request), claims: null }
    // Hooks may take long.
    if (this.#options.isDraining()) return refusals.answer(attempt, new DrainingError())
    const user = (handshake.settings as ConnectionSettings).user?.sub
    if (user === undefined) return undefined
    const { mark } = handshake
    const dismissal = dismissals.since(mark, user)
    if (dismissal !== undefined) return refusals.answer(attempt, new DismissedError(), dismissal)
    dismissals.catchUp(mark, user, handshake.id)
    return undefined
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

function checkRoute({ route }: Attempt): void {
  if (route === NO_ROUTE) throw new NotWebSocketRouteError()
}

function checkUpgrade({ request }: Attempt): void {
  const fault = upgradeFault(request.raw)
  if (fault !== undefined) throw because(new BadHandshakeError(fault), new RefusalReason(fault))
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

async function checkIdentity(attempt: Attempt): Promise<void> {
  const { handshake, request, route } = attempt
  const { auth } = route.settings
  if (auth === false) return
  const identity = await authenticate(handshake, request, auth, route.kind === 'channels')
  if (identity === undefined) return
  identity.adopt()
  attempt.claims = identity.claims
}

/** An application that verifies its clients itself may read their tokens, where no log serializer looks. */
function giveBackUrlTokens({ urlTokens }: Handshake, request: FastifyRequest): void {
  const query = request.query as Record<string, unknown>
  for (const { name, value } of urlTokens) if (query[name] === REDACTED) query[name] = value
}
