import type { FastifyInstance } from 'fastify'
import { scopesFrom } from '../dependencies.ts'
import { InvalidRouteError } from '../errors.ts'

/*
 * A plugin file that registers this package and is not wrapped in fastify-plugin has it to itself: the routes of the
 * files beside it are outside. Fastify takes `websocket: true` of such a route for an unknown option, and would serve its
 * handler plain requests.
 */

const OUTSIDE =
  'it is outside of the scope that registered fastify-realtime, which serves nothing here: wrap that plugin in fastify-plugin, or register fastify-realtime in a scope around both'

/**
 * Says what to do if the package is registered in a scope of its own, and WebSocket routes are outside of it.
 * @param isDeclared True if a WebSocket route or a channel is declared in the scope.
 */
export function watchOutside(app: FastifyInstance, isDeclared: () => boolean): void {
  // Scopes made from here on take the hook over from the scope around them; ours, and those in it, do not.
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
  // A scope beside ours may have an @fastify/websocket of its own, and routes before ours may share the application's.
  if ((websocket || wsHandler) && !this.hasDecorator('websocketServer')) throw new InvalidRouteError(url, OUTSIDE)
}

interface WebSocketRoute {
  readonly url: string
  readonly websocket?: boolean
  readonly wsHandler?: unknown
}
