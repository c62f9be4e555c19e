import { loadDriver } from './clients.ts'
import type { RedisBrokerOptions } from './options.ts'
import { RedisBroker } from './redis-broker.ts'

/** Makes a broker, and loads ioredis first if it is needed. Rejects with `FST_RT_INVALID_OPTION`. */
export async function loadRedisBroker(options: RedisBrokerOptions): Promise<RedisBroker> {
  return new RedisBroker(options, await loadDriver(options.redis))
}
