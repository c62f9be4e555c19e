import type { FastifyRequest, onRequestAsyncHookHandler } from 'fastify'
import type { ConnectionKind, Transport } from '../connection/connection.ts'
import type { CompiledValidator } from '../input/validator.ts'
import { DEFAULTS, type RouteSettings } from '../options/options.ts'

/** The key in a route's `config` under which this package stores its data about a WebSocket route. */
export const kRoute = Symbol('fastify-realtime.route')

/** The data about a route that its handshakes need. */
export interface Route {
  readonly kind: ConnectionKind
  /**
   * Set for the HTTP endpoints of the channel protocol. `emulation` takes the commands of clients of the other two.
   */
  readonly transport?: Exclude<Transport, 'websocket'> | 'emulation'
  readonly settings: RouteSettings
  /** The pattern of the route. */
  readonly url: string
  /** Compiled at boot from `schema.message`. */
  validator?: CompiledValidator
  /** The route's hook of @fastify/rate-limit, if any. It runs as one of our checks, before tokens are verified. */
  limiter?: onRequestAsyncHookHandler
}

/** The value for a route without WebSocket: an upgrade to it is refused. */
export const NO_ROUTE: Route = { kind: 'refused', url: '', settings: { ...DEFAULTS, origins: undefined } }

export function routeOf(request: FastifyRequest): Route {
  return (request.routeOptions.config as { [kRoute]?: Route })[kRoute] ?? NO_ROUTE
}
