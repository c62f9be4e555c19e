import type { FastifyInstance } from 'fastify'
import type { ResolvedAuth } from '../options/options.ts'

// What plugins such as @fastify/cookie and @fastify/session add to a request, and fill in a hook of theirs.
const READ_BY_AUTHENTICATE = ['cookies', 'session']

/**
 * Warns of plugins that are registered too late. Hooks run in the order of registration: `auth.authenticate` is called
 * before theirs, and finds nothing in `request.session`. With @fastify/autoload that order is the alphabet's.
 */
export function watchOrder(app: FastifyInstance, auth: ResolvedAuth | false): void {
  if (auth === false || auth.authenticate === undefined) return
  const missing = READ_BY_AUTHENTICATE.filter((name) => !app.hasRequestDecorator(name))
  app.addHook('onReady', async () => {
    const late = missing.filter((name) => app.hasRequestDecorator(name))
    if (late.length === 0) return
    app.log.warn({ late }, 'auth.authenticate runs before these are filled: register their plugins first')
  })
}
