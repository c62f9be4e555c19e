import jwt from '@fastify/jwt'
import Fastify, { type FastifyError, type FastifyInstance } from 'fastify'
import { Cluster, type RedisOptions } from 'ioredis'
import { DEFAULT_TIMES, type RedisBrokerTimes } from '../../lib/broker/redis/options.ts'
import { LEASE } from '../../lib/handshake/places.ts'
import realtime from '../../lib/index.ts'
import { testSecret } from '../../lib/testing/index.ts'
import type { Place } from './history.ts'
import type { Mutation } from './mutations.ts'

export interface ClusterAddresses {
  readonly cluster: readonly { readonly host: string; readonly port: number }[]
}

export interface ServerSettings {
  readonly redis: string | RedisOptions | ClusterAddresses
  readonly prefix: string
  readonly port?: number
  readonly mutations?: readonly Mutation[]
  /** Laid over the broker's own times. */
  readonly times?: Partial<RedisBrokerTimes>
  /** Connections of one user. */
  readonly perUser?: number
  /** Milliseconds that a place of a user is kept for a node that is gone. */
  readonly leaseTtl?: number
}

export const HISTORY = { size: 10_000, ttl: 600_000 }

interface Ask {
  readonly subscribe: string
  readonly since?: Place
}

/** An application that does what clients and publishers of the checker ask, and listens. */
export async function serve(settings: ServerSettings): Promise<FastifyInstance> {
  const { redis, prefix, port = 0, times, perUser, leaseTtl } = settings
  // The tables of defaults: the surface has no option for these, and tests have no time for some of them.
  Object.assign(DEFAULT_TIMES, times)
  if (leaseTtl !== undefined) LEASE.ttl = leaseTtl
  const app = Fastify({ logger: { level: 'warn' } })
  await app.register(jwt, { secret: testSecret })
  await app.register(realtime, {
    redis: isCluster(redis) ? new Cluster([...redis.cluster], { lazyConnect: true, shardedSubscribers: true }) : redis,
    prefix,
    heartbeat: { interval: 1000, timeout: 2000, visible: true },
    drain: { window: 1000, timeout: 5000 },
    ...(perUser !== undefined && { limits: { connections: { perUser } } })
  })
  declareRoutes(app)
  await app.listen({ port, host: '127.0.0.1' })
  return app
}

/** What clients and publishers of the checker use. */
export function declareRoutes(app: FastifyInstance): void {
  app.channel('ch/:n', { onSubscribe: true, history: HISTORY })
  app.ws('/sub', async (socket) => {
    for await (const { subscribe: channel, since } of socket.messages() as AsyncIterable<Ask>) {
      // Many at once, as a page does that comes back.
      socket.subscribe(channel, { since }).then(
        (result) => socket.sendJson({ subscribed: { channel, ...result } }),
        (error) => socket.sendJson({ refused: { channel, code: error.code } })
      )
    }
  })
  app.post<{ Body: { channel: string; items: { data: unknown; key: string }[] } }>('/publish', ({ body }) => {
    const { channel, items } = body
    // All in one turn. Errors are answers: Fastify would log each at level error, and that level is kept for faults.
    const publishing = items.map(({ data, key }) => app.realtime.publish(channel, data, { idempotencyKey: key }))
    return Promise.all(publishing.map((one) => one.catch(({ code }: FastifyError) => ({ code }))))
  })
  app.post<{ Body: { user: string } }>('/disconnect', async ({ body }, reply) => {
    try {
      await app.realtime.disconnect({ user: body.user })
      return {}
    } catch (error) {
      return reply.code(503).send({ code: (error as FastifyError).code })
    }
  })
  app.get('/ready', (_request, reply) => reply.code(app.realtime.ready() ? 200 : 503).send({}))
  app.get('/connections', async () => ({ count: app.realtime.connections().length }))
}

function isCluster(redis: ServerSettings['redis']): redis is ClusterAddresses {
  return typeof redis === 'object' && 'cluster' in redis
}
