import type { FastifyInstance, FastifyPluginAsync } from 'fastify'
import { DependencyError, UnguardedDashboardError } from '../errors.ts'
import { GuardedLog } from '../input/guarded-log.ts'
import { type Insight, insightOf } from '../node/insight.ts'
import { Exchange } from './exchange.ts'
import { KeyGuard } from './key-guard.ts'
import { declareLive } from './live-routes.ts'
import { type DashboardOptions, resolveDashboardOptions } from './options.ts'
import { HEADERS, KEPT } from './page-headers.ts'
import { declarePage } from './page-routes.ts'

export type { DashboardOptions }

// One for each registration of fastify-realtime, however many dashboards it has.
const exchanges = new WeakMap<Insight, Exchange>()

/** Shows the connections and channels of all nodes on a page. See `docs/dashboard.md`. */
const dashboard: FastifyPluginAsync<DashboardOptions> = async (app, options) => {
  const insight = insightOf(app.realtime)
  if (insight === undefined) {
    throw new DependencyError('fastify-realtime', 'register it before the dashboard, in the same scope or around it')
  }
  const { key, hooks, name } = resolveDashboardOptions(options)
  if (key === undefined && hooks.length === 0 && !insight.isGuarded(app)) throw new UnguardedDashboardError()
  const exchange = exchangeOf(app, insight, name)
  for (const hook of hooks) app.addHook('onRequest', hook)
  // The last of the hooks that set headers: those of scopes around this one run before it.
  app.addHook('onSend', async (_request, reply) => {
    for (const [header, value] of Object.entries(HEADERS)) {
      // The page's own files may be kept.
      if (reply.getHeader(header) !== KEPT) reply.header(header, value)
    }
  })
  await declarePage(app)
  const guard = key === undefined ? undefined : new KeyGuard(key)
  await app.register((scope: FastifyInstance) => declareLive(scope, { insight, exchange, guard }))
}

function exchangeOf(app: FastifyInstance, insight: Insight, name: string): Exchange {
  const known = exchanges.get(insight)
  if (known !== undefined) return known
  const exchange = new Exchange({ insight, name, log: new GuardedLog(app.log) })
  exchanges.set(insight, exchange)
  app.addHook('onReady', async () => exchange.start())
  // After the drain, while the broker is still connected.
  app.addHook('preClose', () => exchange.stop())
  return exchange
}

/** The result of `require()`: the function itself, as of other plugins. */
const commonjs = Object.assign(dashboard, { dashboard })

export default dashboard
export { commonjs as 'module.exports', dashboard }
