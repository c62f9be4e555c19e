import type { Broker } from '../broker/broker.ts'
import { MemoryBroker } from '../broker/memory/memory-broker.ts'
import type { ResolvedOptions } from '../options/options.ts'

/**
 * Makes the broker that the options require. The broker for Redis is loaded only if it is needed: together with ioredis
 * it takes as long to load as the rest of this package. Rejects with `FST_RT_INVALID_OPTION`.
 * @param refused Called if Redis rejects this node after the start because of the configuration of Redis.
 */
export async function makeBroker(
  { redis, prefix, limits }: Pick<ResolvedOptions, 'redis' | 'prefix' | 'limits'>,
  refused: (cause: Error) => void
): Promise<Broker> {
  if (redis === undefined) return new MemoryBroker({ maxBytes: limits.memoryHistory })
  const { loadRedisBroker } = await import('../broker/redis/load-redis-broker.ts')
  return loadRedisBroker({ redis, prefix, refused })
}
