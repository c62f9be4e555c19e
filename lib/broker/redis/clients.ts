import type { Cluster, Redis, RedisOptions } from 'ioredis'
import { isRedisOfThisVersion, REDIS_OPTIONS_WITHOUT_DEFAULT } from '../../dependencies.ts'
import { InvalidOptionError } from '../../errors.ts'
import type { RedisBrokerOptions, RedisBrokerTimes, RedisClient } from './options.ts'

// Which server of a cluster a late answer should have come from isn't known here; ioredis judges by a timer, which takes
// a stall of our own for the server's silence, so it gets this many times as long.
const SILENCES = 3

/** Makes the clients of a broker, each not yet connected, all by the same settings. */
export interface RedisClients {
  readonly isCluster: boolean
  readonly database: number
  /** @param node A connection to one server of a cluster: the client is for that server alone. */
  create(node?: Redis): RedisClient
}

/** The class `Redis` of ioredis. */
export type RedisDriver = typeof Redis

/**
 * Loads ioredis, which takes as long as the rest of this package. Undefined if `redis` is a client of ioredis, which can
 * make others of its kind.
 */
export async function loadDriver(redis: unknown): Promise<RedisDriver | undefined> {
  const isClient = typeof redis === 'object' && redis !== null && 'duplicate' in redis
  if (isClient && (isCluster(redis as RedisClient) || isRedisOfThisVersion(redis as Redis))) return undefined
  const ioredis = await import('ioredis')
  return ioredis.Redis
}

/**
 * Throws `FST_RT_INVALID_OPTION` if `redis` is none of what it may be, or if ioredis refuses it.
 * @param driver As `loadDriver` gives it for `redis`.
 */
export function redisClients(
  redis: RedisBrokerOptions['redis'],
  times: RedisBrokerTimes,
  driver: RedisDriver | undefined
): RedisClients {
  const clients = clientsOf(redis, times, driver)
  // What ioredis refuses, it refuses here: a client made later has the same options. This one never connects.
  try {
    clients.create().disconnect()
  } catch (error) {
    throw new InvalidOptionError('redis', (error as Error).message)
  }
  return clients
}

function clientsOf(
  redis: RedisBrokerOptions['redis'],
  times: RedisBrokerTimes,
  driver: RedisDriver | undefined
): RedisClients {
  const own = ownOptions(times)
  // Without a driver, `redis` is a client.
  const Driver = driver as RedisDriver
  const make = (options: RedisOptions) =>
    driver === undefined ? (redis as Redis).duplicate(options) : new Driver(options)
  if (typeof redis === 'string') return ofSingle({ ...urlOptions(redis, Driver), ...own }, make)
  if (typeof redis !== 'object' || redis === null) {
    throw new InvalidOptionError('redis', 'give a URL, options of ioredis, or an instance of it')
  }
  if (!isInstance(redis)) {
    const known = [...Object.keys(new Driver({ lazyConnect: true }).options), ...REDIS_OPTIONS_WITHOUT_DEFAULT]
    for (const name of Object.keys(redis)) {
      if (!known.includes(name))
        throw new InvalidOptionError(`redis.${name}`, 'ioredis has no such option; correct its name')
    }
    return ofSingle({ ...checked(redis), ...own }, make)
  }
  if (!isCluster(redis)) return ofSingle({ ...checked(redis.options), ...own }, make)
  checked(redis.options)
  if (redis.options.shardedSubscribers !== true) {
    throw new InvalidOptionError('redis', 'make the Cluster of ioredis 6 or newer, with shardedSubscribers: true')
  }
  const ofCluster = clusterOptions(own, times, redis)
  const create = (node?: Redis) => node?.duplicate(own) ?? redis.duplicate([], ofCluster)
  return { isCluster: true, database: 0, create }
}

function urlOptions(url: string, Driver: RedisDriver): RedisOptions {
  if (!/^rediss?:\/\//.test(url)) throw new InvalidOptionError('redis', 'a URL begins with redis:// or rediss://')
  // Not `new Driver(url, own)`: ioredis takes options from a URL's query before those.
  const { options } = new Driver(url, { lazyConnect: true })
  const database = url.replace(/[?#].*$/, '').match(/^rediss?:\/\/[^/]*\/(.*)$/)?.[1]
  return checked(database ? { ...options, db: Number(database) } : options)
}

/** What would be passed over, or taken for something else. */
function checked<Options extends { keyPrefix?: string; db?: number }>(options: Options): Options {
  const { keyPrefix, db = 0 } = options
  if (keyPrefix) {
    throw new InvalidOptionError(
      'redis.keyPrefix',
      'pub/sub knows no keyPrefix; leave it out, and give the option prefix'
    )
  }
  if (!Number.isSafeInteger(db) || db < 0) {
    throw new InvalidOptionError('redis.db', 'name the database by its number, 0 or more')
  }
  return options
}

// ioredis asks the sentinels in their order and takes the first answer. One that is out of date must not be asked
// first for ever, so each client begins with another.
function ofSingle(options: RedisOptions, make: (options: RedisOptions) => Redis): RedisClients {
  let made = 0
  const create = () => {
    const { sentinels } = options
    if (!sentinels) return make(options)
    const first = made++ % sentinels.length
    return make({ ...options, sentinels: [...sentinels.slice(first), ...sentinels.slice(0, first)] })
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
    // It writes to stderr if INFO is refused. Commands tell of a server that is loading.
    enableReadyCheck: false,
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
    // Each server has a client of its own that listens to it.
    shardedSubscribers: false,
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

/** Throws for an instance of something else. */
function isInstance(redis: RedisOptions | RedisClient): redis is RedisClient {
  const prototype: unknown = Object.getPrototypeOf(redis)
  if (prototype === Object.prototype || prototype === null) return false
  const { defineCommand, duplicate, options } = redis as Partial<RedisClient>
  if (typeof defineCommand === 'function' && typeof duplicate === 'function' && options) return true
  throw new InvalidOptionError('redis', 'this is no client of ioredis; give one, or a URL')
}

/** Not `instanceof`: the application may have another copy of ioredis. */
function isCluster(client: RedisClient): client is Cluster {
  return client.isCluster
}
