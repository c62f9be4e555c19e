import type { FastifyInstance } from 'fastify'
import { type Insight, insightOf } from '../../lib/node/insight.ts'

/** What the dashboard sees of an application with the plugin. */
export function insightInto(app: FastifyInstance): Insight {
  const insight = insightOf(app.realtime)
  if (insight === undefined) throw new Error('fastify-realtime is not registered')
  return insight
}
