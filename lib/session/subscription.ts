import type { KeptEntry } from '../hub/presence-keeper.ts'
import type { Timed } from '../timing/timer-wheel.ts'
import type { ChannelDefinition } from './definition.ts'

export interface SessionSubscriptionOptions {
  readonly channel: string
  readonly definition: ChannelDefinition
  readonly params: Readonly<Record<string, string>>
  /** The server subscribed the client: it doesn't resubscribe by itself where the stream breaks. */
  readonly byServer: boolean
  expired(): void
}

/** One client's subscription to one channel, from the first wish for it to its end. */
export class Subscription implements Timed {
  readonly channel: string
  readonly definition: ChannelDefinition
  readonly params: Readonly<Record<string, string>>
  readonly byServer: boolean
  readonly #expired: () => void
  /** Describes the client on this channel; JSON text, once the subscription is granted. */
  info: Buffer | undefined
  presence: KeptEntry | undefined
  /** When it ends, in seconds since 1970. */
  expiresAt: number | undefined
  /** True once the client has been told of it. */
  live = false
  wheelTick = -1

  constructor({ channel, definition, params, byServer, expired }: SessionSubscriptionOptions) {
    this.channel = channel
    this.definition = definition
    this.params = params
    this.byServer = byServer
    this.#expired = expired
  }

  /** The wheel calls this once the subscription's time is over. */
  onDue(): number {
    this.#expired()
    return Number.POSITIVE_INFINITY
  }
}
