import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import type { WebSocketServer } from 'ws'
import type { ConnectionSettings } from '../connection/connection.ts'
import { closeOnceAnswered } from '../dependencies.ts'
import { DismissedError, DrainingError } from '../errors.ts'
import { type Eventual, isPromise } from '../input/eventual.ts'
import type { Claims } from '../options/options.ts'
import type { Timed, TimerWheel } from '../timing/timer-wheel.ts'
import {
  allowOrigin,
  type Check,
  checkIdentity,
  checkOrigin,
  checkRate,
  checkRoute,
  checkSubprotocol,
  checkTurn,
  checkUpgrade
} from './checks.ts'
import type { DismissalMark, Dismissals } from './dismissals.ts'
import { type Attempt, type Handshake, handshakeOf } from './handshake.ts'
import type { Places } from './places.ts'
import { REDACTED } from './redaction.ts'
import type { Refusals } from './refusal.ts'
import { type Route, routeOf } from './route.ts'
import { arrivalOf } from './stream-arrival.ts'

// A request with commands is authorised by its session.
const EMULATION_CHECKS: readonly Check[] = [checkOrigin, allowOrigin, checkRate]
const NO_MARK: DismissalMark = { count: 0, at: 0 }

export interface AdmissionOptions {
  readonly server: WebSocketServer
  readonly wheel: TimerWheel
  readonly places: Places
  readonly refusals: Refusals
  readonly dismissals: Dismissals
  isDraining(): boolean
}

/**
 * Decides whether to admit each upgrade request that is for Fastify, and each request at the HTTP endpoints of the
 * channel protocol. `Refusals` answers the refused requests.
 */
export class Admission {
  readonly #options: AdmissionOptions
  readonly #checks: readonly Check[]
  readonly #streamChecks: readonly Check[]

  constructor(options: AdmissionOptions) {
    this.#options = options
    // Each socket has its own limit for messages. But ws inflates up to the limit of its server, by default 100 MiB.
    options.server.options.maxPayload = 1
    const { places } = options
    const draining: Check = () => this.#checkDraining()
    const place: Check = ({ handshake, request }) => places.take(handshake, request)
    const userPlace: Check = ({ handshake, request, claims }) =>
      claims?.sub && places.takeForUser(claims.sub, handshake, request)
    // The cheapest check comes first. The last one is repeated, because the drain may have begun, and ended, while
    // another check waited.
    this.#checks = [
      ...[draining, checkRoute, checkUpgrade, checkOrigin, place, checkRate, checkSubprotocol],
      ...[checkIdentity, userPlace, draining]
    ]
    this.#streamChecks = [
      draining,
      checkTurn,
      checkOrigin,
      allowOrigin,
      place,
      checkRate,
      checkIdentity,
      userPlace,
      draining
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
    if (route.transport !== undefined) return this.#admitHttp(request, reply, route)
    const handshake = handshakeOf(request.raw)
    if (handshake === undefined) return limitPlain(request, reply, route)
    return this.#check({ handshake, request, reply, route, claims: null }, this.#checks)
  }

  #admitHttp(request: FastifyRequest, reply: FastifyReply, route: Route): Eventual<boolean> {
    const { dismissals } = this.#options
    // A request with commands needs no mark, since it opens no connection.
    const isEmulation = route.transport === 'emulation'
    const handshake = arrivalOf(request, isEmulation ? () => NO_MARK : () => dismissals.mark()).begin(reply)
    const attempt: Attempt = { handshake, request, reply, route, claims: null }
    closeOnceAnswered(handshake.stream)
    this.#watch(attempt)
    if (isEmulation) return this.#check(attempt, EMULATION_CHECKS)
    handshake.attachTo(request.raw)
    return this.#check(attempt, this.#streamChecks)
  }

  /** Refuses a request that is not answered in time. The gate does this for upgrades. */
  #watch(attempt: Attempt): void {
    const { wheel, refusals } = this.#options
    const { handshake, route } = attempt
    const deadline: Timed = {
      wheelTick: -1,
      onDue() {
        refusals.late(attempt)
        return Number.POSITIVE_INFINITY
      }
    }
    handshake.deadline = deadline
    wheel.set(deadline, wheel.now() + route.settings.limits.upgradeTimeout)
    handshake.stream.once('close', () => wheel.delete(deadline))
  }

  /** The response to a streaming request begins. Returns the settings of its connection. */
  open(request: FastifyRequest): ConnectionSettings {
    const handshake = handshakeOf(request.raw) as Handshake
    handshake.complete()
    this.#options.wheel.delete(handshake.deadline as Timed)
    handshake.deadline = undefined
    return handshake.settings as ConnectionSettings
  }

  #check(attempt: Attempt, checks: readonly Check[]): Eventual<boolean> {
    const { handshake, reply } = attempt
    // It may have ended during an earlier hook. Then nothing would give its place back.
    if (handshake.stream.destroyed) return abandon(reply)
    let checked: Eventual<void>
    try {
      checked = runChecks(attempt, checks, 0)
    } catch (error) {
      return this.#refuse(attempt, error)
    }
    if (!isPromise<void>(checked)) return this.#accept(attempt)
    return checked.then(
      () => (handshake.stream.destroyed ? abandon(reply) : this.#accept(attempt)),
      (error) => this.#refuse(attempt, error)
    )
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

/** Runs the checks, beginning at index `from`, until one refuses or the stream is destroyed. */
function runChecks(attempt: Attempt, checks: readonly Check[], from: number): Eventual<void> {
  for (let at = from; at < checks.length; at++) {
    const pending = (checks[at] as Check)(attempt)
    if (!isPromise(pending)) continue
    return pending.then(() => (attempt.handshake.stream.destroyed ? undefined : runChecks(attempt, checks, at + 1)))
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

/**
 * An application that verifies its clients by itself may read their tokens. Restores them in the query only, since log
 * serializers read the URL.
 */
function restoreUrlTokens({ urlTokens }: Handshake, request: FastifyRequest): void {
  const query = request.query as Record<string, unknown>
  for (const { name, value } of urlTokens) if (query[name] === REDACTED) query[name] = value
}

/** An application may throw any value. If Fastify gets undefined as an error, it continues with the request. */
function errorOf(thrown: unknown): unknown {
  return thrown || new Error('refused without an error')
}

/** The peer disconnected, or the deadline passed: there is no one to send an answer to. */
function abandon(reply: FastifyReply): false {
  reply.hijack()
  return false
}
