import type { Cluster, Redis, RedisOptions } from 'ioredis'

/** What speaks to one server (or Sentinel), or to a cluster. */
export type RedisClient = Redis | Cluster

/** Times in milliseconds. `redis-options.ts` has the defaults, in one place. */
export interface RedisBrokerTimes {
  /** A command without an answer after this has an unknown outcome. */
  readonly commandTimeout: number
  /** For the TCP connection, and TLS. */
  readonly connectTimeout: number
  /** Between two attempts to connect: at first, and at most. Each with up to half of it in jitter. */
  readonly reconnectDelay: readonly [first: number, most: number]
  /** Between two messages to itself, by which a node notices that its subscriber has gone deaf. ±10 %. */
  readonly probeInterval: number
  /** Between two audits of one channel: at least, and at most. */
  readonly auditPeriod: readonly [least: number, most: number]
  /** How long a channel's offset and epoch are kept after their last use. */
  readonly positionTtl: number
  /** How long `close` waits for the answers to what was sent. */
  readonly closeTimeout: number
}

export interface RedisBrokerOptions {
  /**
   * A URL (`redis://`, `rediss://`), options of ioredis (Sentinel's too), or an instance of ioredis, single or
   * cluster. An instance is duplicated and stays the caller's.
   */
  readonly redis: string | RedisOptions | RedisClient
  /** First part of every key and channel name. @default 'realtime' */
  readonly prefix?: string
  /** Commands that wait for their answer. Past it, calls reject as unavailable. @default 10_000 */
  readonly maxPending?: number
  readonly times?: Partial<RedisBrokerTimes>
  /**
   * After the start, Redis turned an attempt to connect away by what stands in the configuration: a password that was
   * changed, a permission that was taken. Called with each attempt; the cause is safe to log.
   */
  readonly refused?: (cause: Error) => void
}

export const DEFAULT_TIMES: RedisBrokerTimes = {
  commandTimeout: 2000,
  connectTimeout: 2000,
  reconnectDelay: [50, 1000],
  probeInterval: 5000,
  auditPeriod: [30_000, 40_000],
  positionTtl: 86_400_000,
  closeTimeout: 1000
}

export const DEFAULT_PREFIX = 'realtime'
export const DEFAULT_MAX_PENDING = 10_000
