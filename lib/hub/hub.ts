import type { Broker, BrokerPublishOptions, HistoryPolicy, PresenceEventKind, Publication } from '../broker/broker.ts'
import type { Outbox } from '../connection/outbox.ts'
import type { Turn } from '../connection/turn.ts'
import { InvalidChannelError, SocketClosedError, SubscriptionLimitError } from '../errors.ts'
import { checkIdempotencyKey } from '../input/idempotency-key.ts'
import { givenData, publicationData } from '../input/publication-data.ts'
import { isChannelName } from '../protocol/channel-name.ts'
import type { Position } from '../protocol/position.ts'
import type { TagsFilter } from '../protocol/tags-filter.ts'
import type { Limiter } from '../timing/limiter.ts'
import type { TimerWheel } from '../timing/timer-wheel.ts'
import { Channel, type ChannelServices } from './channel.ts'
import type { StreamCursor, Subscriber } from './cursor.ts'
import { Cursors } from './cursors.ts'
import type { Format } from './feed.ts'
import type { PublishOptions, PublishResult } from './publish-options.ts'
import { checkedTags, checkPublishOptions, exceptedId } from './publish-options.ts'
import { type PreparedStream, Recovery, type StartingPoint } from './recovery.ts'
import type { SubscribeResult } from './subscribe-options.ts'

/** What the hub needs of a channel's declaration. */
export interface ChannelTraits {
  readonly history: HistoryPolicy | undefined
  /** Whether publications are bytes, and not JSON. */
  readonly binary: boolean
  /** `latest`: only the newest publication counts. */
  readonly recover: 'missed' | 'latest'
}

export interface HubOptions {
  readonly broker: Broker
  readonly turn: Turn
  readonly wheel: TimerWheel
  readonly limiter: Limiter
  /** The largest size of a publication's data, in bytes. */
  readonly maxPublication: number
  /** The outbox of a connection of this node. */
  outboxOf(connection: string): Outbox | undefined
  /** The declaration of a channel, by its name. Undefined if the channel is not declared. */
  traitsOf(channel: string): ChannelTraits | undefined
  /** A channel without history is published to, and no connection of this node is subscribed to it. */
  noSubscriber?(channel: string): void
  /** A call to the broker failed, and no caller waits for it. */
  failed(stage: string, error: unknown): void
  repaired(complete: boolean): void
  delivered(lag: number): void
  /** Deltas were handed out. They are so many bytes smaller than the publications. */
  deltasSaved?(bytes: number): void
  recovered(complete: boolean): void
  /** A publication without a position came, but the channel has a history here: another node has a different policy. */
  unpositioned(channel: string): void
}

const UNDECLARED: ChannelTraits = { history: undefined, binary: false, recover: 'missed' }
// Milliseconds for which a channel without subscribers stays subscribed. A new subscriber may come soon.
const GRACE = 1_000

/** The channels of this node and their subscribers. The node subscribes to a channel once, for all its subscribers. */
export class Hub {
  readonly #options: HubOptions
  readonly #services: ChannelServices
  readonly #channels = new Map<string, Channel>()
  readonly #subscribers = new Map<Subscriber, Cursors>()

  constructor(options: HubOptions) {
    this.#options = options
    this.#services = {
      ...options,
      recovery: new Recovery(options),
      unused: (channel) => {
        this.#channels.delete(channel.name)
        channel.close()
      }
    }
  }

  /** Channels that this node is subscribed to. */
  get channels(): number {
    return this.#channels.size
  }

  /** These channels, one after another. Channels may come and go meanwhile. */
  all(): IterableIterator<Channel> {
    return this.#channels.values()
  }

  channelsOf(subscriber: Subscriber): string[] {
    return [...(this.#subscribers.get(subscriber) ?? [])].map(({ feed }) => feed.channel)
  }

  /** Whether the subscriber is on a channel, or is about to be. */
  isOn(subscriber: Subscriber, name: string): boolean {
    return this.#subscribers.get(subscriber)?.get(name) !== undefined
  }

  async subscribe(
    subscriber: Subscriber,
    name: string,
    format: Format,
    options: { readonly since?: StartingPoint } | undefined
  ): Promise<SubscribeResult> {
    const channel = this.#findOrMake(subscriber, name)
    const cursor = this.#subscribers.get(subscriber)?.get(name)
    if (cursor === undefined) {
      return this.#add(subscriber, channel, format, (added) => channel.subscribe(added, options?.since))
    }
    // Two simultaneous calls succeed together or fail together.
    await cursor.joined
    if (subscriber.closed) throw new SocketClosedError()
    return { recovered: false, ...channel.position }
  }

  /**
   * Like `subscribe`, but nothing is sent yet. The caller first answers the client, with the publications that it
   * missed, and then calls `begin`. The subscriber must not be on the channel already.
   * @param filter The subscriber receives only what passes.
   */
  async prepare(
    subscriber: Subscriber,
    name: string,
    format: Format,
    since: StartingPoint | undefined,
    filter?: TagsFilter
  ): Promise<PreparedStream> {
    const channel = this.#findOrMake(subscriber, name)
    return this.#add(subscriber, channel, format, (added) => channel.prepare(added, since), filter)
  }

  /** Adds a cursor and starts it. If it cannot be started, it is removed again. */
  async #add<Result>(
    subscriber: Subscriber,
    channel: Channel,
    format: Format,
    start: (cursor: StreamCursor) => Promise<Result>,
    filter?: TagsFilter
  ): Promise<Result> {
    const cursor = channel.add(subscriber, format, filter)
    const cursors = this.#subscribers.get(subscriber) ?? new Cursors()
    cursors.add(cursor)
    this.#subscribers.set(subscriber, cursors)
    subscriber.outbox.feeds = cursors
    try {
      const result = await start(cursor)
      if (subscriber.closed) throw new SocketClosedError()
      return result
    } catch (error) {
      if (!cursor.ended) this.unsubscribe(subscriber, channel.name)
      throw error
    }
  }

  unsubscribe(subscriber: Subscriber, name: string): void {
    const cursors = this.#subscribers.get(subscriber)
    const cursor = cursors?.remove(name)
    if (cursors === undefined || cursor === undefined) return
    const channel = this.#channelOf(cursor)
    channel.unsubscribe(cursor)
    if (cursors.size === 0) {
      this.#subscribers.delete(subscriber)
      subscriber.outbox.feeds = undefined
    }
    const { wheel } = this.#options
    if (channel.size === 0) wheel.set(channel, wheel.now() + GRACE)
  }

  unsubscribeAll(subscriber: Subscriber): void {
    for (const name of this.channelsOf(subscriber)) this.unsubscribe(subscriber, name)
  }

  /**
   * Publishes a value as JSON, or bytes, as the channel is declared.
   * @param info A JSON text that describes the publisher.
   */
  async publish(
    name: string,
    data: unknown,
    options: PublishOptions | undefined,
    info?: Buffer
  ): Promise<PublishResult> {
    if (options !== undefined) checkPublishOptions(options)
    const traits = this.#traitsOf(name)
    const bytes = givenData(data, (traits ?? UNDECLARED).binary, this.#options.maxPublication)
    const settings = this.#settingsOf(name, traits, options, info)
    const { offset, epoch } = await this.#options.broker.publish(name, bytes, settings)
    return { offset, epoch }
  }

  /** Publishes a JSON text unchanged to a channel that takes JSON. */
  async publishText(
    name: string,
    text: string,
    options: PublishOptions | undefined,
    info?: Buffer
  ): Promise<PublishResult> {
    const traits = this.#traitsOf(name)
    const bytes = publicationData(text, this.#options.maxPublication)
    const settings = this.#settingsOf(name, traits, options, info)
    const { offset, epoch } = await this.#options.broker.publish(name, bytes, settings)
    return { offset, epoch }
  }

  #traitsOf(name: string): ChannelTraits | undefined {
    if (!isChannelName(name)) throw new InvalidChannelError()
    return this.#options.traitsOf(name)
  }

  #settingsOf(
    name: string,
    traits: ChannelTraits | undefined,
    options: PublishOptions | undefined,
    info: Buffer | undefined
  ): BrokerPublishOptions {
    const { noSubscriber } = this.#options
    const { history, binary } = traits ?? UNDECLARED
    if (history === undefined && !this.#channels.get(name)?.size) noSubscriber?.(name)
    const idempotencyKey = checkIdempotencyKey(options?.idempotencyKey)
    const [except, tags] = [exceptedId(options?.except), checkedTags(options?.tags)]
    return { history, binary, idempotencyKey, except, tags, info }
  }

  /** A publication came from the broker. */
  receive(name: string, publication: Publication): void {
    this.#channels.get(name)?.receive(publication)
  }

  /** A join or a leave came from the broker. */
  receivePresence(name: string, kind: PresenceEventKind, info: Buffer): void {
    this.#channels.get(name)?.announce(kind, info)
  }

  /** How many of this node's subscribers receive the joins and leaves of a channel. */
  audienceOf(name: string): number {
    return this.#channels.get(name)?.audience ?? 0
  }

  /** Publications of these channels may have been missed: checks that. */
  audit(names: Iterable<string>): void {
    for (const name of names) void this.#channels.get(name)?.audit()
  }

  /** The subscriber's slow reader has read what was waiting for it. */
  caughtUp(subscriber: Subscriber): void {
    for (const cursor of this.#subscribers.get(subscriber) ?? []) {
      this.#channelOf(cursor).caughtUp(cursor)
    }
  }

  #channelOf({ feed }: StreamCursor): Channel {
    return this.#channels.get(feed.channel) as Channel
  }

  /** The same name as the string that this node keeps, if there is one. So subscribers do not keep copies in memory. */
  nameOf(name: string): string {
    return this.#channels.get(name)?.name ?? name
  }

  /** The channel's position on this node. */
  positionOf(name: string): Position | undefined {
    return this.#channels.get(name)?.position
  }

  /** Finds or makes the channel for a subscriber. Throws if the subscriber may not be subscribed to it. */
  #findOrMake(subscriber: Subscriber, name: string): Channel {
    if (!isChannelName(name)) throw new InvalidChannelError()
    if (subscriber.closed) throw new SocketClosedError()
    const count = this.#subscribers.get(subscriber)?.size ?? 0
    if (count >= subscriber.maxSubscriptions && !this.isOn(subscriber, name)) throw new SubscriptionLimitError()
    let channel = this.#channels.get(name)
    if (channel === undefined) {
      const { history, recover } = this.#options.traitsOf(name) ?? UNDECLARED
      channel = new Channel(name, history, this.#services, recover === 'latest')
      this.#channels.set(name, channel)
    }
    this.#options.wheel.delete(channel)
    return channel
  }
}
