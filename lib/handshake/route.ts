import type { FastifyRequest, onRequestAsyncHookHandler } from 'fastify'
import type { ConnectionKind } from '../connection/connection.ts'
import type { CompiledValidator } from '../input/validator.ts'
import { DEFAULTS, type RouteSettings } from '../options/options.ts'

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

/** Stands for a route that has no WebSocket: an upgrade to it is refused. */
export const NO_ROUTE: Route = { kind: 'refused', url: '', settings: { ...DEFAULTS, origins: undefined } }

export function routeOf(request: FastifyRequest): Route {
  return (request.routeOptions.config as { [kRoute]?: Route })[kRoute] ?? NO_ROUTE
}
