import type { Broker, HistoryPolicy, PresenceEventKind, Publication } from '../broker/broker.ts'
import type { Outbox } from '../connection/outbox.ts'
import type { Turn } from '../connection/turn.ts'
import { InvalidChannelError, SocketClosedError, SubscriptionLimitError } from '../errors.ts'
import { checkIdempotencyKey } from '../input/idempotency-key.ts'
import { publicationData } from '../input/publication-data.ts'
import { stringify } from '../input/stringify.ts'
import { isChannelName } from '../protocol/channel-name.ts'
import type { Position } from '../protocol/position.ts'
import type { Limiter } from '../timing/limiter.ts'
import type { Timed, TimerWheel } from '../timing/timer-wheel.ts'
import { Channel } from './channel.ts'
import type { Subscriber } from './cursor.ts'
import { exceptedId } from './excepted.ts'
import type { Format } from './feed.ts'
import type { PublishOptions, PublishResult } from './publish-options.ts'
import { checkPublishOptions } from './publish-options.ts'
import type { PreparedStream, StartingPoint } from './recovery.ts'
import type { SubscribeResult } from './subscribe-options.ts'

export interface HubOptions {
  readonly broker: Broker
  readonly turn: Turn
  readonly wheel: TimerWheel
  readonly limiter: Limiter
  /** Bytes of a publication's data. */
  readonly maxPublication: number
  /** Where the publications for a connection of this node go. */
  outboxOf(connection: string): Outbox | undefined
  /** How much of a channel is kept, by its name. */
  historyOf(channel: string): HistoryPolicy | undefined
  /** Something is published to a channel without history that nobody on this node is subscribed to. */
  unheard?(channel: string): void
  /** A failure of the broker that nobody waits for. */
  failed(stage: string, error: unknown): void
  repaired(complete: boolean): void
  delivered(lag: number): void
  recovered(complete: boolean): void
  /** A publication without a position came on a channel that keeps a history here: some node has another policy. */
  unpositioned(channel: string): void
}

// A channel that loses its last subscriber stays subscribed for a moment: people come and go.
const GRACE = 1_000

interface OpenChannel extends Timed {
  readonly channel: Channel
}

/** This node's registry: which of its sockets are subscribed to which channel, and what the broker is asked for it. */
export class Hub {
  readonly #options: HubOptions
  readonly #entries = new Map<string, OpenChannel>()
  readonly #memberships = new Map<Subscriber, Set<string>>()

  constructor(options: HubOptions) {
    this.#options = options
  }

  /** Channels that this node is subscribed to. */
  get channels(): number {
    return this.#entries.size
  }

  channelsOf(member: Subscriber): string[] {
    return [...(this.#memberships.get(member) ?? [])]
  }

  /** Whether the member is subscribed to a channel, or is about to be. */
  isOn(member: Subscriber, name: string): boolean {
    return this.#memberships.get(member)?.has(name) ?? false
  }

  async subscribe(
    member: Subscriber,
    name: string,
    format: Format,
    options: { readonly since?: StartingPoint } | undefined
  ): Promise<SubscribeResult> {
    const channel = this.#enter(member, name)
    if (!this.isOn(member, name)) {
      return this.#add(member, name, () => channel.subscribe(member, format, options?.since))
    }
    // Two calls hold together, or fail together.
    await channel.joined(member)
    if (member.closed) throw new SocketClosedError()
    return { recovered: false, ...channel.position }
  }

  /**
   * As `subscribe`, for a member that answers its client before it is given anything: with what it missed, and then it
   * calls `begin`. It must not be subscribed to the channel already.
   */
  async prepare(
    member: Subscriber,
    name: string,
    format: Format,
    since: StartingPoint | undefined
  ): Promise<PreparedStream> {
    const channel = this.#enter(member, name)
    return this.#add(member, name, () => channel.prepare(member, format, since))
  }

  /** Enters the membership, which is given up if the subscription fails. */
  async #add<Result>(member: Subscriber, name: string, subscribe: () => Promise<Result>): Promise<Result> {
    const names = this.#memberships.get(member)
    if (names === undefined) this.#memberships.set(member, new Set([name]))
    else names.add(name)
    try {
      const result = await subscribe()
      if (member.closed) throw new SocketClosedError()
      return result
    } catch (error) {
      // Unsubscribed and subscribed again meanwhile, it is subscribed.
      if (!this.#entries.get(name)?.channel.has(member)) this.unsubscribe(member, name)
      throw error
    }
  }

  unsubscribe(member: Subscriber, name: string): void {
    const names = this.#memberships.get(member)
    if (names === undefined || !names.delete(name)) return
    if (names.size === 0) this.#memberships.delete(member)
    this.#entries.get(name)?.channel.unsubscribe(member)
    this.#leaveIfEmpty(name)
  }

  unsubscribeAll(member: Subscriber): void {
    for (const name of this.channelsOf(member)) this.unsubscribe(member, name)
  }

  async publish(name: string, data: unknown, options: PublishOptions | undefined): Promise<PublishResult> {
    if (options !== undefined) checkPublishOptions(options)
    return this.publishText(name, stringify(data), options)
  }

  /** Publishes a JSON text as it is; `info` is a JSON text that describes the publisher. */
  async publishText(
    name: string,
    text: string,
    options: PublishOptions | undefined,
    info?: Buffer
  ): Promise<PublishResult> {
    if (!isChannelName(name)) throw new InvalidChannelError()
    const { broker, maxPublication, historyOf, unheard } = this.#options
    const data = publicationData(text, maxPublication)
    const history = historyOf(name)
    if (history === undefined && !this.#entries.get(name)?.channel.size) unheard?.(name)
    const { offset, epoch } = await broker.publish(name, data, {
      history,
      idempotencyKey: checkIdempotencyKey(options?.idempotencyKey),
      except: exceptedId(options?.except),
      info
    })
    return { offset, epoch }
  }

  /** A publication came from the broker. */
  receive(name: string, publication: Publication): void {
    this.#entries.get(name)?.channel.receive(publication)
  }

  /** Someone came to a channel or left it. */
  receivePresence(name: string, kind: PresenceEventKind, info: Buffer): void {
    this.#entries.get(name)?.channel.announce(kind, info)
  }

  /** How many of this node's subscribers are told who comes to a channel and who leaves it. */
  audienceOf(name: string): number {
    return this.#entries.get(name)?.channel.audience ?? 0
  }

  /** Publications of these channels may have been missed. */
  audit(names: Iterable<string>): void {
    for (const name of names) void this.#entries.get(name)?.channel.audit()
  }

  caughtUp(member: Subscriber): void {
    for (const name of this.#memberships.get(member) ?? []) this.#entries.get(name)?.channel.caughtUp(member)
  }

  /** The channel's position on this node. */
  positionOf(name: string): Position | undefined {
    return this.#entries.get(name)?.channel.position
  }

  /** Finds or makes the channel that a member asks for. Throws if it may not have it. */
  #enter(member: Subscriber, name: string): Channel {
    if (!isChannelName(name)) throw new InvalidChannelError()
    if (member.closed) throw new SocketClosedError()
    const count = this.#memberships.get(member)?.size ?? 0
    if (!this.isOn(member, name) && count >= member.maxSubscriptions) throw new SubscriptionLimitError()
    return this.#open(name)
  }

  #open(name: string): Channel {
    const { wheel, historyOf, ...shared } = this.#options
    let entry = this.#entries.get(name)
    if (entry === undefined) {
      const history = historyOf(name)
      const channel = new Channel({ ...shared, name, history })
      entry = { channel, wheelTick: -1, onDue: () => this.#leave(name) }
      this.#entries.set(name, entry)
    }
    wheel.delete(entry)
    return entry.channel
  }

  #leaveIfEmpty(name: string): void {
    const entry = this.#entries.get(name)
    const { wheel } = this.#options
    if (entry?.channel.size === 0) wheel.set(entry, wheel.now() + GRACE)
  }

  #leave(name: string): number {
    const entry = this.#entries.get(name) as OpenChannel
    this.#entries.delete(name)
    entry.channel.close()
    return Number.POSITIVE_INFINITY
  }
}
