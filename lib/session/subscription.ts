import type { Subscriber } from '../hub/cursor.ts'
import type { Hub } from '../hub/hub.ts'
import type { Announcer, KeptEntry } from '../hub/presence-keeper.ts'
import { loggable } from '../input/loggable.ts'
import type { ClientContext, UnsubscribeContext } from '../options/hooks.ts'
import { type Disconnect, UNSUBSCRIBE } from '../protocol/disconnect-codes.ts'
import { unsubscribePush } from '../protocol/replies.ts'
import type { Timed, TimerWheel } from '../timing/timer-wheel.ts'
import { findDeclared } from './declared-channel.ts'
import type { ChannelDefinition, DeclaredChannel } from './definition.ts'
import type { SessionLog } from './session-log.ts'

// A join or leave costs its sender at least so many bytes for each receiver: to write it costs as much as many bytes do.
const LEAST_ANNOUNCED = 1_024

/** What a subscription needs of its session. */
export interface SubscribedSession extends Subscriber {
  readonly services: {
    readonly hub: Hub
    readonly wheel: TimerWheel
    findChannel(name: string): DeclaredChannel | undefined
  }
  readonly subscriptions: { get(channel: string): Subscription | undefined }
  readonly log: SessionLog
  /** Takes a subscription out of `subscriptions`. */
  remove(subscription: Subscription): void
  push(text: string): void
  spend(bytes: number): void
  client(): ClientContext
}

/** One client's subscription to one channel, from the command or request that asks for it to its end. */
export class Subscription implements Announcer, Timed {
  readonly #session: SubscribedSession
  readonly channel: string
  readonly definition: ChannelDefinition
  /** The server subscribed the client, which does not subscribe again by itself if publications are lost. */
  readonly byServer: boolean
  /** Describes the client on this channel, if the application describes it differently here; JSON text. */
  info: Buffer | undefined
  presence: KeptEntry | undefined
  /** When it ends, in seconds since 1970. */
  expiresAt: number | undefined
  /** True once the client has been sent that it is subscribed. */
  live = false
  wheelTick = -1

  constructor(session: SubscribedSession, channel: string, definition: ChannelDefinition, byServer: boolean) {
    this.#session = session
    this.channel = channel
    this.definition = definition
    this.byServer = byServer
  }

  /** What stands in the channel's name for the parameters of its pattern. Found anew: a copy would be kept for each. */
  get params(): DeclaredChannel['params'] {
    return findDeclared(this.#session.services, this.channel).params
  }

  /** False once it has ended, even if it was never live. */
  get isHeld(): boolean {
    return this.#session.subscriptions.get(this.channel) === this
  }

  /** Ends it. Sends the client its end, if the client was sent its beginning. */
  end(reason: Disconnect): void {
    if (!this.isHeld) return
    this.drop(reason)
    if (this.live) this.#session.push(unsubscribePush(this.channel, reason))
  }

  /** Ends it. Sends the client nothing. */
  drop({ code, reason }: Disconnect): void {
    if (!this.isHeld) return
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

  /** Nobody waits for the hook. */
  async #runHook(onUnsubscribe: (context: UnsubscribeContext) => unknown, end: Disconnect): Promise<void> {
    try {
      await onUnsubscribe({ ...this.#session.client(), channel: this.channel, params: this.params, ...end })
    } catch (thrown) {
      const details = { err: loggable(thrown), hook: 'onUnsubscribe' }
      this.#session.log.failed(details, 'channel hook failed')
    }
  }

  /** A join or leave of the client is sent to all subscribers of the channel that receive those. */
  announcing(info: Buffer): void {
    const { hub } = this.#session.services
    this.#session.spend(hub.audienceOf(this.channel) * Math.max(LEAST_ANNOUNCED, info.length))
  }

  /** The wheel calls this once the subscription's time is over. */
  onDue(): number {
    this.end(UNSUBSCRIBE.expired)
    return Number.POSITIVE_INFINITY
  }
}
