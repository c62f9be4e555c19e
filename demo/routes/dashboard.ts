import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { ChannelError, type ClientContext, forbidden } from 'fastify-realtime'
import type { Registry } from 'prom-client'
import { Type } from 'typebox'
import { Broadcast, CONNECTIONS, NODES } from '../dashboard/broadcast.ts'
import { parseQuery, type TableQuery } from '../dashboard/connection-table.ts'
import { DashboardNode } from '../dashboard/node.ts'

// The window of the charts, for about four nodes. With more nodes it holds less of the window.
const HISTORY = { size: 1_000, ttl: 180_000 }
// A watcher whose node died keeps the other nodes busy for this long.
const PRESENCE = { ttl: 6_000 }
const BAD_REQUEST = 107
const NOT_REACHED = 460

export interface DashboardOptions {
  registry: Registry
  /** Whether there is a Redis, which may not be available. */
  hasRedis: boolean
}

/** The parts of the page at /dashboard. All are for administrators: for tokens with the claim `admin`. */
const dashboard: FastifyPluginAsyncTypebox<DashboardOptions> = async (app, { registry, hasRedis }) => {
  const node = new DashboardNode(registry, hasRedis ? 'redis' : 'memory')
  const broadcast = new Broadcast({ realtime: app.realtime, node, log: app.log })
  app.addHook('onReady', async () => broadcast.start())
  // After the drain, while Redis is still connected.
  app.addHook('preClose', () => broadcast.stop())

  // Neither channel has onPublish: no client may publish here.
  app.channel(NODES, { history: HISTORY, presence: PRESENCE, onSubscribe: (client) => mustBeAdmin(client) })
  app.channel(CONNECTIONS, {
    presence: PRESENCE,
    onSubscribe: (client) => {
      mustBeAdmin(client)
      return { info: mustBeQuery(client.data) }
    }
  })

  // The node to which the page is connected, also while Redis is not available.
  const Query = Type.Optional(Type.Unknown())
  app.rpc('dashboard.snapshot', { schema: { data: Type.Object({ query: Query }) } }, async (client) => {
    mustBeAdmin(client)
    const { query } = client.data
    const table = query === undefined ? undefined : await broadcast.answer(mustBeQuery(query))
    return { snapshot: await node.sample(), table }
  })

  const Connection = Type.Object({ connection: Type.String({ minLength: 1, maxLength: 100 }) })
  app.rpc('dashboard.disconnect', { schema: { data: Connection } }, async (client) => {
    mustBeAdmin(client)
    const { connection } = client.data
    client.request.log.info({ connection, by: client.user?.sub }, 'disconnected from the dashboard')
    const isHere = app.realtime.connections().some(({ id }) => id === connection)
    try {
      await app.realtime.disconnect({ connection }, { reason: 'disconnected by an administrator' })
    } catch (error) {
      // This node obeys by itself; the others cannot be reached while Redis is not available.
      const { code } = error as { code?: string }
      if (code !== 'FST_RT_UNAVAILABLE' && code !== 'FST_RT_UNKNOWN_OUTCOME') throw error
      if (!isHere) throw new ChannelError(NOT_REACHED, 'Redis is away: the other nodes could not be told')
    }
    return {}
  })
}

function mustBeAdmin({ user }: ClientContext): void {
  if (user?.admin !== true) throw forbidden('only for tokens with the claim admin')
}

function mustBeQuery(data: unknown): TableQuery {
  const query = parseQuery(data)
  if (query === undefined) throw new ChannelError(BAD_REQUEST)
  return query
}

export default dashboard
