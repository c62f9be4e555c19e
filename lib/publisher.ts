import type { Cluster, Redis, RedisOptions } from 'ioredis'
import type { HistoryPolicy } from './broker/broker.ts'
import { RedisBroker } from './broker/redis.ts'
import { checkIdempotencyKey } from './channels/idempotency-key.ts'
import { InvalidChannelError, InvalidOptionError } from './errors.ts'
import { isChannelName } from './protocol/channel-name.ts'
import type { PublishOptions, PublishResult } from './socket/context.ts'
import { stringify } from './socket/stringify.ts'

export interface PublisherOptions {
  /** As for the plugin: URL, ioredis options, or an ioredis client, which stays the caller's. */
  redis: string | RedisOptions | Redis | Cluster
  /**
   * As the servers' `prefix`.
   * @default 'realtime'
   */
  prefix?: string
  /**
   * How much of a channel is kept, by its name: say what the servers' `app.channel` says. A publication without
   * history reaches who is connected and nobody later.
   * @default none
   */
  history?: (channel: string) => HistoryPolicy | undefined
}

/** Publishes to the channels of a server from a process that runs none: a worker, a cron job. */
export interface Publisher {
  /** As `app.realtime.publish`. */
  publish(channel: string, data: unknown, options?: PublishOptions): Promise<PublishResult>
  /** Ends the connection to Redis, in bounded time. */
  close(): Promise<void>
}

/**
 * Connects to Redis. Rejects with `FST_RT_INVALID_OPTION`, and with `FST_RT_BROKER` where Redis refuses us for good.
 * While Redis is away this waits; publishes of a connected publisher then reject with `FST_RT_UNAVAILABLE`.
 */
export async function createPublisher({ redis, prefix, history }: PublisherOptions): Promise<Publisher> {
  if (redis === undefined) throw new InvalidOptionError('redis', 'give a URL, ioredis options or an ioredis client')
  const broker = new RedisBroker({ redis, prefix })
  try {
    await broker.start()
  } catch (error) {
    await broker.close()
    throw error
  }
  return {
    async publish(channel, data, options) {
      if (!isChannelName(channel)) throw new InvalidChannelError()
      const { offset, epoch } = await broker.publish(channel, Buffer.from(stringify(data)), {
        history: history?.(channel),
        idempotencyKey: checkIdempotencyKey(options?.idempotencyKey)
      })
      return { offset, epoch }
    },
    close: () => broker.close()
  }
}
