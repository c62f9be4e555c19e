import type { Cluster, Redis, RedisOptions } from 'ioredis'
import type { HistoryPolicy } from './broker/broker.ts'
import { completeHistory, historyFault } from './broker/history-policy.ts'
import { loadRedisBroker } from './broker/redis/load-redis-broker.ts'
import { InvalidChannelError, InvalidOptionError } from './errors.ts'
import type { PublishOptions, PublishResult } from './hub/publish-options.ts'
import { checkedTags, checkPublishOptions, exceptedId } from './hub/publish-options.ts'
import { boundsFault } from './input/bounds.ts'
import { checkIdempotencyKey } from './input/idempotency-key.ts'
import { givenData } from './input/publication-data.ts'
import { BOUNDS, DEFAULTS } from './options/options.ts'
import { isChannelName } from './protocol/channel-name.ts'

const OPTIONS = ['redis', 'prefix', 'history', 'binary', 'limits', 'timeout']
const REDIS_FIX = 'give a URL, ioredis options or an ioredis client'
// In milliseconds, like the bounds.
const DEFAULT_TIMEOUT = 10_000
const TIMEOUT_BOUNDS = [100, 600_000] as const

export interface PublisherOptions {
  /** As for the plugin: a URL, ioredis options, or an ioredis client. `close` does not close your client. */
  redis: string | RedisOptions | Redis | Cluster
  /**
   * The same as the option `prefix` of the servers.
   * @default 'realtime'
   */
  prefix?: string | undefined
  /**
   * Returns the history of a channel, by the channel's name. Return the same as the option `history` of the servers'
   * `app.channel`, within the same bounds: otherwise publishes reject with `FST_RT_INVALID_OPTION`. A publication
   * without history reaches only clients that are connected.
   * @default none
   */
  history?: ((channel: string) => HistoryPolicy | undefined) | undefined
  /**
   * Returns whether the publications of a channel are bytes, by the channel's name. Return the same as the option
   * `binary` of the servers' `app.channel`. Then `publish` takes a `Uint8Array` for that channel.
   * @default No channel carries bytes.
   */
  binary?: ((channel: string) => boolean) | undefined
  limits?:
    | {
        /**
         * The same as the option `limits.publication` of the servers: the maximum size of one publication's data as
         * JSON, 1 to 536,870,912 bytes. With larger data, a publish rejects with `FST_RT_PUBLICATION_TOO_LARGE`.
         * @default 1048576
         */
        publication?: number | undefined
      }
    | undefined
  /**
   * Milliseconds that `createPublisher` waits for Redis, 100 to 600,000. Then it rejects with `FST_RT_UNAVAILABLE`. If
   * a server accepts connections but does not answer, it rejects up to 2,000 ms later.
   * @default 10000
   */
  timeout?: number | undefined
}

/** Publishes to the channels of your servers from a process without a server, such as a worker or a cron job. */
export interface Publisher {
  /** Publishes like `app.realtime.publish`. */
  publish(channel: string, data: unknown, options?: PublishOptions): Promise<PublishResult>
  /** Closes the connection to Redis, within a bounded time. */
  close(): Promise<void>
}

/**
 * Connects to Redis. Rejects with `FST_RT_INVALID_OPTION`, with `FST_RT_BROKER` if Redis refuses the connection for
 * good, and with `FST_RT_UNAVAILABLE` if Redis is not available within `timeout`. Nothing stays open then, so that a
 * cron job can end. A connected publisher reconnects by itself. While Redis is unavailable, its publishes reject with
 * `FST_RT_UNAVAILABLE`. If Redis refuses the new connection (for example after a change of the password), the `cause`
 * of this error is an `FST_RT_BROKER` with the reason.
 */
export async function createPublisher(options: PublisherOptions): Promise<Publisher> {
  const { redis, prefix, history, binary, limits, timeout = DEFAULT_TIMEOUT } = checked(options)
  const { publication: maxBytes = DEFAULTS.limits.publication } = limits ?? {}
  const broker = await loadRedisBroker({ redis, prefix })
  // If the broker is closed during the start, the start rejects with FST_RT_UNAVAILABLE.
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
      const isBinary = binary?.(channel) === true
      const { offset, epoch } = await broker.publish(channel, givenData(data, isBinary, maxBytes), {
        history: policyOf(channel, history),
        binary: isBinary,
        idempotencyKey: checkIdempotencyKey(options?.idempotencyKey),
        except: exceptedId(options?.except),
        tags: checkedTags(options?.tags)
      })
      return { offset, epoch }
    },
    close: () => broker.close()
  }
}

function checked(options: PublisherOptions): PublisherOptions {
  if (typeof options !== 'object' || options === null) throw new InvalidOptionError('redis', REDIS_FIX)
  for (const name of Object.keys(options)) {
    if (OPTIONS.includes(name)) continue
    throw new InvalidOptionError(name, `unknown option; use one of ${OPTIONS.join(', ')}`)
  }
  const { redis, history, binary, limits = {}, timeout } = options
  if (redis === undefined) throw new InvalidOptionError('redis', REDIS_FIX)
  if (history !== undefined && typeof history !== 'function') {
    throw new InvalidOptionError('history', "give a function that returns the history policy for a channel's name")
  }
  if (binary !== undefined && typeof binary !== 'function') {
    throw new InvalidOptionError('binary', "give a function that returns true or false for a channel's name")
  }
  checkLimits(limits)
  const fault = timeout === undefined ? undefined : boundsFault('it', timeout, TIMEOUT_BOUNDS)
  if (fault !== undefined) throw new InvalidOptionError('timeout', `${fault} (ms)`)
  return options
}

function checkLimits(limits: unknown): void {
  if (typeof limits !== 'object' || limits === null) throw new InvalidOptionError('limits', 'give an object')
  const stray = Object.keys(limits).find((name) => name !== 'publication')
  if (stray !== undefined) throw new InvalidOptionError(`limits.${stray}`, 'unknown option; use publication')
  const { publication = DEFAULTS.limits.publication } = limits as { publication?: unknown }
  const [least, most] = BOUNDS['limits.publication'] as (typeof BOUNDS)[string]
  const fault = boundsFault('it', publication, [least, most])
  if (fault !== undefined) throw new InvalidOptionError('limits.publication', `${fault} (bytes)`)
}

/** The history of a channel, checked: a mistake would delete publications that are already in the history. */
function policyOf(channel: string, history: PublisherOptions['history']): HistoryPolicy | undefined {
  const policy = history?.(channel)
  const fault = policy === undefined ? undefined : historyFault(policy)
  if (fault !== undefined) throw new InvalidOptionError('history', `the policy that it returns is wrong: ${fault}`)
  return policy && completeHistory(policy)
}
