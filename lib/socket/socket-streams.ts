import type { Connection } from '../connection/connection.ts'
import { InvalidArgumentError, InvalidChannelError, SocketClosedError } from '../errors.ts'
import { socketFormat } from '../hub/feed.ts'
import type { Hub } from '../hub/hub.ts'
import type { KeptEntry, PresenceKeeper } from '../hub/presence-keeper.ts'
import type { PublishOptions, PublishResult } from '../hub/publish-options.ts'
import type { PresenceOptions, SubscribeOptions, SubscribeResult } from '../hub/subscribe-options.ts'
import { stringify } from '../input/stringify.ts'
import { isChannelName } from '../protocol/channel-name.ts'
import { clientInfo } from '../protocol/replies.ts'
import type { Streams } from './context.ts'

/** The part of a channel's declaration that concerns sockets. */
export interface SocketRules {
  readonly binary: boolean
  readonly presenceTtl: number | undefined
  readonly joinLeave: boolean | 'always'
}

export interface SocketStreamsOptions {
  readonly hub: Hub
  readonly presence: PresenceKeeper
  /** The channel's declaration. Undefined if the channel is not declared. */
  findChannel(name: string): SocketRules | undefined
}

/** A socket's presence on one channel. */
interface Present {
  readonly entry: KeptEntry
  /** Settles once the entry is added, or could not be. */
  readonly added: Promise<void>
}

/** Subscribes sockets without a session to channels, with presence if they ask for it, and publishes for them. */
export class SocketStreams implements Streams {
  readonly #options: SocketStreamsOptions
  readonly #present = new Map<Connection, Map<string, Present>>()

  constructor(options: SocketStreamsOptions) {
    this.#options = options
  }

  async subscribe(
    socket: Connection,
    channel: string,
    options: SubscribeOptions | undefined
  ): Promise<SubscribeResult> {
    const { hub } = this.#options
    this.#refuseBytes(channel)
    const description = descriptionIn(options?.presence)
    if (description === undefined) return hub.subscribe(socket, channel, socketFormat, options)
    if (!isChannelName(channel)) throw new InvalidChannelError()
    if (socket.closed) throw new SocketClosedError()
    const present = this.#enter(socket, channel, description)
    try {
      // Before the subscription, so that a subscriber always finds itself in the channel's presence.
      await present.added
      if (socket.closed) throw new SocketClosedError()
      if (!this.#isPresent(socket, channel, present)) return { recovered: false, offset: 0, epoch: '' }
      const result = await hub.subscribe(socket, channel, socketFormat, options)
      // If the socket was unsubscribed meanwhile, the entry is removed already, and this does nothing.
      present.entry.announce()
      return result
    } catch (error) {
      if (this.#isPresent(socket, channel, present) && !hub.isOn(socket, channel)) this.#leave(socket, channel)
      throw error
    }
  }

  unsubscribe(socket: Connection, channel: string): void {
    this.#options.hub.unsubscribe(socket, channel)
    this.#leave(socket, channel)
  }

  publish(channel: string, data: unknown, options: PublishOptions | undefined): Promise<PublishResult> {
    return this.#options.hub.publish(channel, data, options)
  }

  closed(socket: Connection): void {
    this.#options.hub.unsubscribeAll(socket)
    for (const channel of [...(this.#present.get(socket)?.keys() ?? [])]) this.#leave(socket, channel)
  }

  caughtUp(socket: Connection): void {
    this.#options.hub.caughtUp(socket)
  }

  /** Throws `FST_RT_INVALID_CHANNEL` if the channel carries bytes: sockets get publications within JSON. */
  #refuseBytes(channel: string): void {
    if (!isChannelName(channel) || !this.#options.findChannel(channel)?.binary) return
    throw Object.assign(new InvalidChannelError(), { cause: new Error('The channel is declared with binary: true') })
  }

  /** Adds the socket to the channel's presence, unless it is there already. */
  #enter(socket: Connection, channel: string, { info }: PresenceOptions): Present {
    const channels = this.#present.get(socket) ?? new Map<string, Present>()
    const existing = channels.get(channel)
    if (existing !== undefined) return existing
    const { presence, findChannel } = this.#options
    const { presenceTtl: ttl, joinLeave = false } = findChannel(channel) ?? {}
    if (ttl === undefined && !joinLeave) {
      throw new InvalidArgumentError('presence', 'give a channel that app.channel declares with presence or joinLeave')
    }
    const described = { connection: socket.id, user: socket.user?.sub ?? '', info: describe(socket, info) }
    const entry = presence.keep({ channel, entry: described, ttl, joinLeave: joinLeave !== false })
    const present = { entry, added: entry.add() }
    channels.set(channel, present)
    this.#present.set(socket, channels)
    return present
  }

  #isPresent(socket: Connection, channel: string, present: Present): boolean {
    return this.#present.get(socket)?.get(channel) === present
  }

  #leave(socket: Connection, channel: string): void {
    const channels = this.#present.get(socket)
    const present = channels?.get(channel)
    if (channels === undefined || present === undefined) return
    channels.delete(channel)
    if (channels.size === 0) this.#present.delete(socket)
    present.entry.remove()
  }
}

/** The socket's description, if it asks for presence. Throws `FST_RT_INVALID_ARGUMENT`. */
function descriptionIn(presence: boolean | PresenceOptions | undefined): PresenceOptions | undefined {
  if (presence === undefined || presence === false) return undefined
  if (presence === true) return {}
  const isDescription = typeof presence === 'object' && presence !== null
  if (isDescription && Object.keys(presence).every((name) => name === 'info')) return presence
  throw new InvalidArgumentError('presence', 'give true, false or { info }')
}

/** Describes a socket to the others on a channel, in the same form as a client of the channel protocol. */
function describe({ id, user }: Connection, info: unknown): Buffer {
  const connection = user?.info === undefined ? undefined : stringify(user.info)
  const channel = info === undefined ? undefined : stringify(info)
  return Buffer.from(clientInfo({ user: user?.sub ?? '', client: id, connection, channel }))
}
