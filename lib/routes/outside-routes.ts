import type { FastifyInstance } from 'fastify'
import { scopesFrom } from '../dependencies.ts'
import { InvalidRouteError } from '../errors.ts'

/*
 * If a plugin file registers this package and is not wrapped in fastify-plugin, only that file is in the scope. The
 * routes of the other files are outside of it. On such a route Fastify ignores the option `websocket: true`, and would
 * call its handler for plain requests.
 */

const OUTSIDE =
  'it is outside of the scope that registered fastify-realtime, which serves nothing here: wrap that plugin in fastify-plugin, or register fastify-realtime in a scope around both'

/**
 * If WebSocket routes are outside of the scope in which this package is registered, throws or logs what to do.
 * @param isDeclared True if a WebSocket route or a channel is declared in the scope.
 */
export function watchOutside(app: FastifyInstance, isDeclared: () => boolean): void {
  // Scopes that are made later inherit this hook from the scope around them. Our scope, and those in it, do not.
  const [, ...around] = scopesFrom(app)
  for (const scope of around) scope.addHook('onRoute', refuseOutside)
  if (around.length === 0) return
  app.addHook('onReady', async () => {
    if (isDeclared()) return
    app.log.warn(
      'the scope of fastify-realtime declares nothing: if your routes are elsewhere wrap its plugin in fastify-plugin'
    )
  })
}

function refuseOutside(this: FastifyInstance, { url, websocket, wsHandler }: WebSocketRoute): void {
  // Another scope may have its own @fastify/websocket, and earlier routes may use the application's @fastify/websocket.
  if ((websocket || wsHandler) && !this.hasDecorator('websocketServer')) throw new InvalidRouteError(url, OUTSIDE)
}

interface WebSocketRoute {
  readonly url: string
  readonly websocket?: boolean
  readonly wsHandler?: unknown
}
