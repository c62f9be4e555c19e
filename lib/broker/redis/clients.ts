import type { Cluster, Redis, RedisOptions } from 'ioredis'
import { isRedisOfThisVersion, REDIS_OPTIONS_WITHOUT_DEFAULT } from '../../dependencies.ts'
import { InvalidOptionError } from '../../errors.ts'
import type { RedisBrokerOptions, RedisBrokerTimes, RedisClient } from './options.ts'

// In a cluster, ioredis closes a silent connection (`socketTimeout`), because this package can't know which server owes
// a late answer. ioredis uses a timer, which can't tell a silent server from a stall of this process. So the timeout is
// this many times the command timeout.
const SOCKET_TIMEOUT_FACTOR = 3

/** Makes the clients of a broker. All have the same settings, and none is connected yet. */
export interface RedisClients {
  readonly isCluster: boolean
  readonly database: number
  /** @param node A connection to one server of a cluster. If it is given, the client connects to that server only. */
  create(node?: Redis): RedisClient
}

/** The class `Redis` of ioredis. */
export type RedisDriver = typeof Redis

/**
 * Loads ioredis, which takes as long as the rest of this package. Resolves with undefined if `redis` is an ioredis
 * client, which can be duplicated without it.
 */
export async function loadDriver(redis: unknown): Promise<RedisDriver | undefined> {
  const isClient = typeof redis === 'object' && redis !== null && 'duplicate' in redis
  if (isClient && (isCluster(redis as RedisClient) || isRedisOfThisVersion(redis as Redis))) return undefined
  const ioredis = await import('ioredis')
  return ioredis.Redis
}

/**
 * Throws `FST_RT_INVALID_OPTION` if `redis` is not a valid value, or if ioredis refuses it.
 * @param driver The result of `loadDriver` for `redis`.
 */
export function redisClients(
  redis: RedisBrokerOptions['redis'],
  times: RedisBrokerTimes,
  driver: RedisDriver | undefined
): RedisClients {
  const clients = clientsOf(redis, times, driver)
  // If ioredis refuses the options, it throws here: later clients have the same ones. This client never connects.
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
  if (typeof redis === 'string') return singleServer({ ...urlOptions(redis, Driver), ...own }, make)
  if (typeof redis !== 'object' || redis === null) {
    throw new InvalidOptionError('redis', 'give a URL, options of ioredis, or an instance of it')
  }
  if (!isInstance(redis)) {
    const known = [...Object.keys(new Driver({ lazyConnect: true }).options), ...REDIS_OPTIONS_WITHOUT_DEFAULT]
    for (const name of Object.keys(redis)) {
      if (!known.includes(name))
        throw new InvalidOptionError(`redis.${name}`, 'ioredis does not know this option; correct its name')
    }
    return singleServer({ ...validated(redis), ...own }, make)
  }
  if (!isCluster(redis)) return singleServer({ ...validated(redis.options), ...own }, make)
  validated(redis.options)
  if (redis.options.shardedSubscribers !== true) {
    throw new InvalidOptionError('redis', 'make the Cluster of ioredis 6 or newer, with shardedSubscribers: true')
  }
  const options = clusterOptions(own, times, redis)
  const create = (node?: Redis) => node?.duplicate(own) ?? redis.duplicate([], options)
  return { isCluster: true, database: 0, create }
}

function urlOptions(url: string, Driver: RedisDriver): RedisOptions {
  if (!/^rediss?:\/\//.test(url)) throw new InvalidOptionError('redis', 'a URL begins with redis:// or rediss://')
  // Not `new Driver(url, own)`: in ioredis, options in the query of a URL override those.
  const { options } = new Driver(url, { lazyConnect: true })
  const database = url.replace(/[?#].*$/, '').match(/^rediss?:\/\/[^/]*\/(.*)$/)?.[1]
  return validated(database ? { ...options, db: Number(database) } : options)
}

/** Throws for options that would be ignored or misunderstood. */
function validated<Options extends { keyPrefix?: string; db?: number }>(options: Options): Options {
  const { keyPrefix, db = 0 } = options
  if (keyPrefix) {
    throw new InvalidOptionError(
      'redis.keyPrefix',
      'keyPrefix does not apply to pub/sub; leave it out, and use the option prefix'
    )
  }
  if (!Number.isSafeInteger(db) || db < 0) {
    throw new InvalidOptionError('redis.db', 'name the database by its number, 0 or more')
  }
  return options
}

// ioredis asks the sentinels in their order and uses the first answer. If the first sentinel were out of date, every
// client would use its answer. So each client begins with a different sentinel.
function singleServer(options: RedisOptions, make: (options: RedisOptions) => Redis): RedisClients {
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
 * By default, ioredis reconnects and sends commands without an answer again. A publish whose answer was lost would
 * happen twice. Here each client has only one connection. When the connection ends, the client ends and rejects the
 * waiting commands, and `RedisLink` makes another client.
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
    // The ready check writes to stderr if INFO is refused. Answers to commands show if a server is still loading.
    enableReadyCheck: false,
    maxRetriesPerRequest: 0,
    connectTimeout,
    disconnectTimeout: 200,
    // `RedisDeadlines` handles both timeouts.
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
    // Connections to single servers close and reopen. Commands wait for them.
    enableOfflineQueue: true,
    enableReadyCheck: true,
    enableAutoPipelining: false,
    // 0: commands without an answer are not sent again. MOVED, ASK and TRYAGAIN are answers; ioredis follows them.
    retryDelayOnFailover: 0,
    // 0: the caller learns at once that nothing was done. Otherwise the outcome would be unknown after commandTimeout.
    retryDelayOnClusterDown: 0,
    scaleReads: 'master' as const,
    // Each server has its own client for subscriptions.
    shardedSubscribers: false,
    keyPrefix: '',
    scripts: undefined,
    redisOptions: {
      ...options.redisOptions,
      ...own,
      lazyConnect: undefined,
      enableOfflineQueue: true,
      // A connection to a server that stopped answering is closed, or commands for it would only pile up.
      socketTimeout: SOCKET_TIMEOUT_FACTOR * commandTimeout
    }
  }
}

/** True for an ioredis client, false for a plain object. Throws for any other instance. */
function isInstance(redis: RedisOptions | RedisClient): redis is RedisClient {
  const prototype: unknown = Object.getPrototypeOf(redis)
  if (prototype === Object.prototype || prototype === null) return false
  const { defineCommand, duplicate, options } = redis as Partial<RedisClient>
  if (typeof defineCommand === 'function' && typeof duplicate === 'function' && options) return true
  throw new InvalidOptionError('redis', 'the value is not a client of ioredis; give a client, or a URL')
}

/** Not `instanceof`: the application may have another copy of ioredis. */
function isCluster(client: RedisClient): client is Cluster {
  return client.isCluster
}
