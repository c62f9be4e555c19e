import type { FastifyReply, FastifyRequest, onRequestAsyncHookHandler } from 'fastify'
import type { ConnectionKind, ConnectionSettings } from '../connection/connection.ts'
import { GuardedLog } from '../input/guarded-log.ts'
import type { CompiledValidator } from '../input/validator.ts'
import { type Claims, DEFAULTS, type RouteSettings } from '../options/options.ts'
import type { TimerWheel } from '../timing/timer-wheel.ts'
import type { Handshake } from './handshake.ts'

/** The member of a route's `config` that holds what this package knows of a WebSocket route. */
export const kRoute = Symbol('fastify-realtime.route')

/** A WebSocket route, as its handshakes see it. */
export interface Route {
  readonly kind: ConnectionKind
  readonly settings: RouteSettings
  /** Its pattern. */
  readonly url: string
  /** Compiled at boot from `schema.message`. */
  validator?: CompiledValidator
  /** The route's own hook of @fastify/rate-limit, if it has one. It runs as a check here, before tokens are verified. */
  limiter?: onRequestAsyncHookHandler
}

/** A handshake at a route, while it is decided whether to admit it. */
export interface Attempt {
  readonly handshake: Handshake
  readonly request: FastifyRequest
  readonly reply: FastifyReply
  readonly route: Route
  claims: Claims | null
}

/** Stands for a route that has no WebSocket: an upgrade to it is refused. */
export const NO_ROUTE: Route = { kind: 'refused', url: '', settings: { ...DEFAULTS, origins: undefined } }

export function routeOf(request: FastifyRequest): Route {
  return (request.routeOptions.config as { [kRoute]?: Route })[kRoute] ?? NO_ROUTE
}

/** What the attempt settles for its connection. */
export function connectionSettings(
  { handshake, request, route, claims: user }: Attempt,
  kind: ConnectionKind,
  wheel: TimerWheel
): ConnectionSettings {
  const { heartbeat, limits } = route.settings
  return {
    id: handshake.id,
    kind,
    user,
    // By the monotonic clock from here on: if the server's clock is set, connections must not expire by that.
    expiresAt: user?.exp === undefined ? Number.POSITIVE_INFINITY : wheel.now() + user.exp * 1000 - Date.now(),
    begunAt: handshake.begunAt,
    heartbeat,
    limits,
    validator: route.validator,
    route: route.url,
    log: new GuardedLog(request.log)
  }
}
