import type { Cluster, Redis, RedisOptions } from 'ioredis'
import type { HistoryPolicy } from './broker/broker.ts'
import { completeHistory, historyFault } from './broker/history-policy.ts'
import { loadRedisBroker } from './broker/redis/load-redis-broker.ts'
import { InvalidChannelError, InvalidOptionError } from './errors.ts'
import { exceptedId } from './hub/excepted.ts'
import type { PublishOptions, PublishResult } from './hub/publish-options.ts'
import { checkPublishOptions } from './hub/publish-options.ts'
import { boundsFault } from './input/bounds.ts'
import { checkIdempotencyKey } from './input/idempotency-key.ts'
import { publicationData } from './input/publication-data.ts'
import { stringify } from './input/stringify.ts'
import { BOUNDS, DEFAULTS } from './options/options.ts'
import { isChannelName } from './protocol/channel-name.ts'

const OPTIONS = ['redis', 'prefix', 'history', 'limits', 'timeout']
const MEND_REDIS = 'give a URL, ioredis options or an ioredis client'
// Milliseconds.
const DEFAULT_TIMEOUT = 10_000
const TIMEOUT_BOUNDS = [100, 600_000] as const

export interface PublisherOptions {
  /** As for the plugin: URL, ioredis options, or an ioredis client, which stays the caller's. */
  redis: string | RedisOptions | Redis | Cluster
  /**
   * As the servers' `prefix`.
   * @default 'realtime'
   */
  prefix?: string | undefined
  /**
   * How much of a channel is kept, by its name: say what the servers' `app.channel` says, within the same bounds, or
   * publishes reject with `FST_RT_INVALID_OPTION`. A publication without history reaches who is connected and nobody
   * later.
   * @default none
   */
  history?: ((channel: string) => HistoryPolicy | undefined) | undefined
  limits?:
    | {
        /**
         * As the servers' `limits.publication`: bytes of one publication's data as JSON, 1 to 536,870,912. Past it a
         * publish rejects with `FST_RT_PUBLICATION_TOO_LARGE`.
         * @default 1048576
         */
        publication?: number | undefined
      }
    | undefined
  /**
   * Milliseconds that `createPublisher` waits for Redis, 100 to 600,000. Then it rejects with `FST_RT_UNAVAILABLE`; if a
   * server accepts connections and does not answer, up to 2,000 ms later.
   * @default 10000
   */
  timeout?: number | undefined
}

/** Publishes to the channels of a server from a process that runs none: a worker, a cron job. */
export interface Publisher {
  /** As `app.realtime.publish`. */
  publish(channel: string, data: unknown, options?: PublishOptions): Promise<PublishResult>
  /** Ends the connection to Redis, in bounded time. */
  close(): Promise<void>
}

/**
 * Connects to Redis. Rejects with `FST_RT_INVALID_OPTION`, with `FST_RT_BROKER` if Redis refuses us for good, and with
 * `FST_RT_UNAVAILABLE` if Redis cannot be used within `timeout`. Nothing is left open then: a cron job ends. A publisher
 * that is connected stays so, and its publishes reject with `FST_RT_UNAVAILABLE` while Redis is away. If Redis refuses
 * to connect it again (its password was changed), the `cause` of that error is an `FST_RT_BROKER` that names the reason.
 */
export async function createPublisher(options: PublisherOptions): Promise<Publisher> {
  const { redis, prefix, history, limits, timeout = DEFAULT_TIMEOUT } = checked(options)
  const { publication: maxBytes = DEFAULTS.limits.publication } = limits ?? {}
  const broker = await loadRedisBroker({ redis, prefix })
  // A start that is closed under way rejects as unavailable.
  const deadline = setTimeout(() => void broker.close(), timeout)
  try {
    await broker.start()
  } catch (error) {
    await broker.close()
    throw error
  } finally {
    clearTimeout(deadline)
  }
  return {
    async publish(channel, data, options) {
      if (!isChannelName(channel)) throw new InvalidChannelError()
      if (options !== undefined) checkPublishOptions(options)
      const { offset, epoch } = await broker.publish(channel, publicationData(stringify(data), maxBytes), {
        history: policyOf(channel, history),
        idempotencyKey: checkIdempotencyKey(options?.idempotencyKey),
        except: exceptedId(options?.except)
      })
      return { offset, epoch }
    },
    close: () => broker.close()
  }
}

function checked(options: PublisherOptions): PublisherOptions {
  if (typeof options !== 'object' || options === null) throw new InvalidOptionError('redis', MEND_REDIS)
  for (const name of Object.keys(options)) {
    if (OPTIONS.includes(name)) continue
    throw new InvalidOptionError(name, `there is no such option; ${OPTIONS.join(', ')} are`)
  }
  const { redis, history, limits = {}, timeout } = options
  if (redis === undefined) throw new InvalidOptionError('redis', MEND_REDIS)
  if (history !== undefined && typeof history !== 'function') {
    throw new InvalidOptionError('history', "give a function that says, by a channel's name, how much of it is kept")
  }
  checkLimits(limits)
  const fault = timeout === undefined ? undefined : boundsFault('it', timeout, TIMEOUT_BOUNDS)
  if (fault !== undefined) throw new InvalidOptionError('timeout', `${fault} (ms)`)
  return options
}

function checkLimits(limits: unknown): void {
  if (typeof limits !== 'object' || limits === null) throw new InvalidOptionError('limits', 'give an object')
  const stray = Object.keys(limits).find((name) => name !== 'publication')
  if (stray !== undefined) throw new InvalidOptionError(`limits.${stray}`, 'there is no such option; publication is')
  const { publication = DEFAULTS.limits.publication } = limits as { publication?: unknown }
  const [least, most] = BOUNDS['limits.publication'] as (typeof BOUNDS)[string]
  const fault = boundsFault('it', publication, [least, most])
  if (fault !== undefined) throw new InvalidOptionError('limits.publication', `${fault} (bytes)`)
}

/** How much is kept of a channel. Unchecked, a mistake would cost what is kept of it already. */
function policyOf(channel: string, history: PublisherOptions['history']): HistoryPolicy | undefined {
  const policy = history?.(channel)
  const fault = policy === undefined ? undefined : historyFault(policy)
  if (fault !== undefined) throw new InvalidOptionError('history', `of what it answers for a channel, ${fault}`)
  return policy && completeHistory(policy)
}
