import type { FastifyInstance } from 'fastify'
import type { ResolvedAuth } from '../options/options.ts'

// Properties that plugins such as @fastify/cookie and @fastify/session add to a request, and set in a hook.
const READ_BY_AUTHENTICATE = ['cookies', 'session']

/**
 * Logs a warning about plugins that are registered too late. Hooks run in the order of registration. So
 * `auth.authenticate` is called before the hooks of these plugins, when `request.session` is still empty. With
 * @fastify/autoload this order is alphabetical.
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
