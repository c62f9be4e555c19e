import type { FastifyInstance } from 'fastify'
import type { HistoryPolicy } from './broker/broker.ts'
import { ChannelPatterns } from './channels/patterns.ts'
import { InvalidChannelPatternError } from './errors.ts'

/** How channels of one pattern behave. */
export interface ChannelOptions {
  /**
   * Publications that are kept, so that a client that was away can recover: at most `size` of them (1 to 100,000),
   * none older than `ttl` milliseconds (1,000 to 2,592,000,000).
   * @default none
   */
  history?: HistoryPolicy
}

const HISTORY_BOUNDS = { size: [1, 100_000], ttl: [1_000, 2_592_000_000] } as const

/** The channels that an application has declared. */
export class ChannelRoutes {
  readonly #patterns = new ChannelPatterns<ChannelOptions>()

  /** Throws `FST_RT_INVALID_CHANNEL_PATTERN`. */
  add(pattern: string, options: ChannelOptions): void {
    const { history } = options
    if (typeof pattern !== 'string' || pattern === '') throw new InvalidChannelPatternError(String(pattern), 'name it')
    if (history !== undefined) {
      for (const [key, [least, most]] of Object.entries(HISTORY_BOUNDS)) {
        const value = history[key as keyof HistoryPolicy]
        if (Number.isInteger(value) && value >= least && value <= most) continue
        throw new InvalidChannelPatternError(pattern, `make history.${key} a whole number from ${least} to ${most}`)
      }
    }
    try {
      this.#patterns.add(pattern, options)
    } catch (cause) {
      throw Object.assign(new InvalidChannelPatternError(pattern, (cause as Error).message), { cause })
    }
  }

  historyOf(channel: string): HistoryPolicy | undefined {
    return this.#patterns.find(channel)?.definition.history
  }
}

/** Makes the decorator `app.channel`. A scope's prefix stands before its patterns, as before its routes. */
export function channelDecorator(routes: ChannelRoutes) {
  return function channel(this: FastifyInstance, pattern: string, options: ChannelOptions = {}): FastifyInstance {
    const prefix = this.prefix.replace(/^\/|\/$/g, '')
    routes.add(prefix === '' ? pattern : `${prefix}/${pattern}`, options)
    return this
  }
}
