import { type Centrifuge, State, type Subscription, SubscriptionState } from 'centrifuge'
import { testToken } from '../../lib/testing/index.ts'
import type { ClientEvent, ClientLog, Place } from './history.ts'
import { hashOf, type SubscriberOptions } from './subscriber.ts'
import { type Transport, transported } from './transports.ts'

const DELAYS = { least: 50, most: 1_000 }

/** A subscriber over the channel protocol: the published client, as it is, told only where the nodes are. */
export class ChannelSubscriber implements ClientLog {
  readonly name: string
  readonly events: ClientEvent[] = []
  readonly channels: readonly string[]
  readonly #client: Centrifuge
  readonly #subscriptions: readonly Subscription[]
  readonly #positions = new Map<string, Place>()
  readonly #drop: () => void
  #lostAt: number | undefined
  /** Milliseconds from the loss of each connection until all channels were subscribed again. */
  readonly gaps: number[] = []

  constructor({ name, channels, ports, random, user = name }: SubscriberOptions, transport: Transport = 'channels') {
    this.name = name
    this.channels = channels
    const options = {
      getToken: async () => testToken({ sub: user }),
      minReconnectDelay: DELAYS.least,
      maxReconnectDelay: DELAYS.most,
      maxServerPingDelay: 1_500
    }
    const { client, drop } = transported(transport, { ports, random, client: options })
    this.#client = client
    this.#drop = drop
    this.#client.on('connected', () => this.events.push({ type: 'open', at: performance.now() }))
    this.#client.on('connecting', ({ code }) => this.#lost(code))
    this.#subscriptions = channels.map((channel) => this.#subscribe(channel))
    this.#client.connect()
  }

  /** Subscribed to everything. */
  get isSettled(): boolean {
    const isSubscribed = ({ state }: Subscription) => state === SubscriptionState.Subscribed
    return this.#client.state === State.Connected && this.#subscriptions.every(isSubscribed)
  }

  positionOf(channel: string): Place | undefined {
    return this.#positions.get(channel)
  }

  /** Loses the connection, as a phone does. */
  drop(): void {
    this.#drop()
  }

  stop(): void {
    this.#client.disconnect()
  }

  #subscribe(channel: string): Subscription {
    const subscription = this.#client.newSubscription(channel, {
      minResubscribeDelay: DELAYS.least,
      maxResubscribeDelay: DELAYS.most
    })
    subscription.on('subscribing', () => {
      this.events.push({ type: 'asked', channel, since: this.#positions.get(channel) })
    })
    subscription.on('subscribed', ({ recovered, streamPosition }) => {
      const place = streamPosition as Place
      this.events.push({ type: 'subscribed', channel, recovered, ...place, at: performance.now() })
      if (!recovered) this.#positions.set(channel, { offset: place.offset, epoch: place.epoch })
      this.#back()
    })
    subscription.on('publication', ({ data, offset }) => {
      // The protocol says the epoch once, with the subscription.
      const place = { offset: offset as number, epoch: this.#positions.get(channel)?.epoch ?? '' }
      this.#positions.set(channel, place)
      // The Protobuf build of the client gives the bytes.
      const value = data instanceof Uint8Array ? JSON.parse(Buffer.from(data).toString()) : data
      this.events.push({ type: 'publication', channel, ...place, id: value.id, hash: hashOf(value) })
    })
    subscription.subscribe()
    return subscription
  }

  #lost(code: number): void {
    const at = performance.now()
    this.#lostAt ??= at
    this.events.push({ type: 'close', at, code })
  }

  #back(): void {
    if (this.#lostAt === undefined || !this.isSettled) return
    this.gaps.push(performance.now() - this.#lostAt)
    this.#lostAt = undefined
  }
}
