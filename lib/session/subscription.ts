import type { Subscriber } from '../hub/cursor.ts'
import type { Hub } from '../hub/hub.ts'
import type { Announcer, KeptEntry } from '../hub/presence-keeper.ts'
import { loggable } from '../input/loggable.ts'
import type { ClientContext, UnsubscribeContext } from '../options/hooks.ts'
import { type Disconnect, UNSUBSCRIBE } from '../protocol/disconnect-codes.ts'
import type { Message } from '../protocol/framing.ts'
import type { TagsFilter } from '../protocol/tags-filter.ts'
import type { Timed, TimerWheel } from '../timing/timer-wheel.ts'
import { findDeclared } from './declared-channel.ts'
import type { ChannelDefinition, DeclaredChannel } from './definition.ts'
import type { ClientFormat } from './encodings/client-format.ts'
import type { SessionLog } from './session-log.ts'

// A join or leave counts as at least so many bytes for each receiver: to write a small message takes as long as to
// write many bytes.
const MIN_ANNOUNCED = 1_024

/** What a subscription needs of its session. */
export interface SubscribedSession extends Subscriber {
  readonly services: {
    readonly hub: Hub
    readonly wheel: TimerWheel
    findChannel(name: string): DeclaredChannel | undefined
  }
  readonly subscriptions: { get(channel: string): Subscription | undefined }
  readonly log: SessionLog
  readonly format: ClientFormat
  /** Removes a subscription from `subscriptions`. */
  remove(subscription: Subscription): void
  push(message: Message): void
  spend(bytes: number): void
  client(): ClientContext
}

/** One client's subscription to one channel. It exists as soon as the client or the application asks for it. */
export class Subscription implements Announcer, Timed {
  readonly #session: SubscribedSession
  readonly channel: string
  readonly definition: ChannelDefinition
  /** The server made the subscription. If publications are lost, the client does not make it again by itself. */
  readonly byServer: boolean
  /** The description of the client on this channel, as JSON text, if it differs from the one for all channels. */
  info: Buffer | undefined
  presence: KeptEntry | undefined
  /** The filter that the application set. The client may not receive what does not pass. */
  filter: TagsFilter | undefined
  /** When the subscription expires, in seconds since 1970. */
  expiresAt: number | undefined
  /** True once the client was sent the start of the subscription. */
  live = false
  wheelTick = -1

  constructor(session: SubscribedSession, channel: string, definition: ChannelDefinition, byServer: boolean) {
    this.#session = session
    this.channel = channel
    this.definition = definition
    this.byServer = byServer
  }

  /**
   * The values that the channel's name has for the parameters of its pattern. They are determined on each use: stored
   * values would need memory for each subscription.
   */
  get params(): DeclaredChannel['params'] {
    return findDeclared(this.#session.services, this.channel).params
  }

  /** False once the subscription has ended, even if it was never live. */
  get isActive(): boolean {
    return this.#session.subscriptions.get(this.channel) === this
  }

  /** Ends the subscription. If the client was sent its start, the client is sent its end too. */
  end(reason: Disconnect): void {
    if (!this.isActive) return
    this.drop(reason)
    if (this.live) this.#session.push(this.#session.format.encoding.unsubscribePush(this.channel, reason))
  }

  /** Ends the subscription, and sends the client nothing. */
  drop({ code, reason }: Disconnect): void {
    if (!this.isActive) return
    const { hub, wheel } = this.#session.services
    const { channel, definition } = this
    this.#session.remove(this)
    wheel.delete(this)
    hub.unsubscribe(this.#session, channel)
    this.presence?.remove()
    const { onUnsubscribe } = definition.hooks
    if (!this.live || onUnsubscribe === undefined) return
    void this.#runHook(onUnsubscribe, { code, reason })
  }

  /** No caller waits for the hook, so an error is logged. */
  async #runHook(onUnsubscribe: (context: UnsubscribeContext) => unknown, end: Disconnect): Promise<void> {
    try {
      await onUnsubscribe({ ...this.#session.client(), channel: this.channel, params: this.params, ...end })
    } catch (thrown) {
      const details = { err: loggable(thrown), hook: 'onUnsubscribe' }
      this.#session.log.failed(details, 'channel hook failed')
    }
  }

  /**
   * A join or leave is about to be sent: counts its bytes, for each subscriber that receives it, against the client.
   */
  announcing(info: Buffer): void {
    const { hub } = this.#session.services
    this.#session.spend(hub.audienceOf(this.channel) * Math.max(MIN_ANNOUNCED, info.length))
  }

  /** The wheel calls this when the subscription has expired. */
  onDue(): number {
    this.end(UNSUBSCRIBE.expired)
    return Number.POSITIVE_INFINITY
  }
}
