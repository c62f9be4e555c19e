import { type Cluster, Redis, type RedisOptions } from 'ioredis'
import { InvalidOptionError } from '../errors.ts'
import type { RedisBrokerOptions, RedisBrokerTimes, RedisClient } from './redis-options.ts'

// Which server of a cluster a late answer should have come from isn't known here; ioredis judges by a timer, which takes
// a stall of our own for the server's silence, so it gets this many times as long.
const SILENCES = 3

/** Makes the clients of a broker, each not yet connected, all by the same settings. */
export interface RedisClients {
  readonly isCluster: boolean
  readonly database: number
  create(): RedisClient
}

/** Throws `FST_RT_INVALID_OPTION` where `redis` is none of what it may be, or ioredis refuses it. */
export function redisClients(redis: RedisBrokerOptions['redis'], times: RedisBrokerTimes): RedisClients {
  const clients = clientsOf(redis, times)
  // What ioredis refuses, it refuses here: a client made later has the same options. This one never connects.
  try {
    clients.create().disconnect()
  } catch (error) {
    throw new InvalidOptionError('redis', (error as Error).message)
  }
  return clients
}

function clientsOf(redis: RedisBrokerOptions['redis'], times: RedisBrokerTimes): RedisClients {
  const own = ownOptions(times)
  if (isInstance(redis)) {
    if (!isCluster(redis)) return ofSingle({ ...redis.options, ...own })
    const create = () => redis.duplicate([], clusterOptions(own, times, redis))
    return { isCluster: true, database: 0, create }
  }
  if (typeof redis === 'string') {
    if (!/^rediss?:\/\//.test(redis)) throw new InvalidOptionError('redis', 'a URL begins with redis:// or rediss://')
    // Not `new Redis(redis, own)`: ioredis takes options from a URL's query before those.
    return ofSingle({ ...new Redis(redis, { lazyConnect: true }).options, ...own })
  }
  if (typeof redis !== 'object' || redis === null) {
    throw new InvalidOptionError('redis', 'give a URL, options of ioredis, or an instance of it')
  }
  return ofSingle({ ...redis, ...own })
}

// ioredis asks the sentinels in their order and takes the first answer. One that is out of date must not be asked
// first for ever, so each client begins with another.
function ofSingle(options: RedisOptions): RedisClients {
  let made = 0
  const create = () => {
    const { sentinels } = options
    if (!sentinels) return new Redis(options)
    const first = made++ % sentinels.length
    return new Redis({ ...options, sentinels: [...sentinels.slice(first), ...sentinels.slice(0, first)] })
  }
  return { isCluster: false, database: options.db ?? 0, create }
}

/**
 * ioredis reconnects and sends again what had no answer, so that a publish whose answer was lost happens twice. Here
 * each client lives for one connection: it ends with it, rejecting what waits, and `RedisLink` makes another.
 */
function ownOptions({ connectTimeout, commandTimeout }: RedisBrokerTimes): RedisOptions {
  return {
    lazyConnect: true,
    retryStrategy: null,
    sentinelRetryStrategy: () => null,
    reconnectOnError: null,
    autoResubscribe: false,
    autoResendUnfulfilledCommands: false,
    enableOfflineQueue: false,
    enableAutoPipelining: false,
    enableReadyCheck: true,
    maxRetriesPerRequest: 0,
    connectTimeout,
    disconnectTimeout: 200,
    // `RedisDeadlines` sees to both.
    commandTimeout: undefined,
    socketTimeout: undefined,
    sentinelCommandTimeout: commandTimeout,
    keyPrefix: '',
    role: 'master',
    readOnly: false,
    monitor: false,
    stringNumbers: false,
    replyMapping: 'legacy',
    scripts: undefined
  }
}

function clusterOptions(own: RedisOptions, { commandTimeout }: RedisBrokerTimes, { options }: Cluster) {
  return {
    lazyConnect: true,
    clusterRetryStrategy: null,
    clusterNodeRetryStrategy: null,
    // Connections to single nodes come and go; commands wait for them.
    enableOfflineQueue: true,
    enableReadyCheck: true,
    enableAutoPipelining: false,
    // 0: what had no answer is not sent again. MOVED, ASK and TRYAGAIN are answers, and are followed.
    retryDelayOnFailover: 0,
    // 0: the caller is told at once that nothing was done, instead of in commandTimeout that nobody knows.
    retryDelayOnClusterDown: 0,
    scaleReads: 'master' as const,
    shardedSubscribers: true,
    keyPrefix: '',
    scripts: undefined,
    redisOptions: {
      ...options.redisOptions,
      ...own,
      lazyConnect: undefined,
      enableOfflineQueue: true,
      // One server of several that has stopped answering is left: what is sent to it would only pile up.
      socketTimeout: SILENCES * commandTimeout
    }
  }
}

function isInstance(redis: RedisBrokerOptions['redis']): redis is RedisClient {
  return typeof redis === 'object' && redis !== null && typeof (redis as RedisClient).duplicate === 'function'
}

/** Not `instanceof`: the application may have another copy of ioredis. */
function isCluster(client: RedisClient): client is Cluster {
  return client.isCluster
}
