import type { Cluster, Redis, RedisOptions } from 'ioredis'

/** A client for one server (or Sentinel), or for a cluster. */
export type RedisClient = Redis | Cluster

/** Times in milliseconds. The defaults are in `DEFAULT_TIMES`. */
export interface RedisBrokerTimes {
  /** A command that is not answered in this time has an unknown outcome. */
  readonly commandTimeout: number
  /** Maximum time to connect, including TLS. */
  readonly connectTimeout: number
  /** Delay between two attempts to connect: at first, and at most. Up to half of each delay is jitter. */
  readonly reconnectDelay: readonly [first: number, max: number]
  /** Time between two messages of a node to itself, ±10 %. They show that its subscriber still receives messages. */
  readonly probeInterval: number
  /** Time between two audits of one channel: at least, and at most. */
  readonly auditPeriod: readonly [min: number, max: number]
  /** How long a channel's offset and epoch are kept after their last use. */
  readonly positionTtl: number
  /** Maximum time for which `close` waits for answers. */
  readonly closeTimeout: number
}

export interface RedisBrokerOptions {
  /**
   * A URL (`redis://`, `rediss://`), options of ioredis (also for Sentinel), or an ioredis client (`Redis` or
   * `Cluster`). A client is duplicated, and the broker does not close it.
   */
  readonly redis: string | RedisOptions | RedisClient
  /** First part of every key and channel name. @default 'realtime' */
  readonly prefix?: string
  /** Maximum number of commands that wait for their answer. Further calls reject as unavailable. @default 10_000 */
  readonly maxPending?: number
  readonly times?: Partial<RedisBrokerTimes>
  /**
   * After the start, Redis refused an attempt to connect because of the configuration: a password was changed, or a
   * permission was removed. Called for each such attempt. The cause is safe to log.
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
