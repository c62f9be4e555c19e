import { loadDriver } from './clients.ts'
import type { RedisBrokerOptions } from './options.ts'
import { RedisBroker } from './redis-broker.ts'

/** Loads ioredis if it is needed, and makes a broker. Rejects with `FST_RT_INVALID_OPTION`. */
export async function loadRedisBroker(options: RedisBrokerOptions): Promise<RedisBroker> {
  return new RedisBroker(options, await loadDriver(options.redis))
}
