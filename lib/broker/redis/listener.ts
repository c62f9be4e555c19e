import { bytesRead } from './commands.ts'
import { RedisDeadlines } from './deadlines.ts'
import { RedisLink, type RedisLinkOptions } from './link.ts'
import type { RedisBrokerTimes, RedisClient } from './options.ts'
import { RedisProbe } from './probe.ts'
import { RedisSubscriptions } from './subscriptions.ts'

export interface RedisListenerOptions extends Pick<RedisLinkOptions, 'failed' | 'isFatal'> {
  readonly isCluster: boolean
  readonly times: RedisBrokerTimes
  /** A client of the server that is not connected yet. */
  create(): RedisClient
  message(wire: string, message: Buffer): void
  /** Publishes to the node's own channel by the connection for commands. */
  probe(wire: string, message: string): Promise<unknown>
  /** The connection is another than before; all channels are subscribed on it. */
  adopted(): void
  lost(error: unknown): void
  /** A slot has moved: channels are not subscribed here any more. */
  moved(): void
}

/** The one connection that listens to a server: keeps it, probes it, and has its channels subscribed on it. */
export class RedisListener {
  readonly subscriptions: RedisSubscriptions
  readonly #options: RedisListenerOptions
  readonly #link: RedisLink
  readonly #probe: RedisProbe
  #probeWire: string | undefined
  #isTried = false

  constructor(options: RedisListenerOptions) {
    this.#options = options
    const { isCluster, times, failed, isFatal } = options
    this.#link = new RedisLink({
      failed,
      isFatal,
      attemptTimeout: times.connectTimeout + 2 * times.commandTimeout,
      reconnectDelay: times.reconnectDelay,
      create: () => this.#create(),
      prepare: (client) => this.#prepare(client),
      adopt: (client) => this.#adopt(client),
      lost: (error) => {
        this.#isTried = true
        options.lost(error)
      }
    })
    this.subscriptions = new RedisSubscriptions({
      isCluster,
      current: () => this.client,
      deadlines: new RedisDeadlines(times.commandTimeout, () => bytesRead(this.client))
    })
    this.#probe = new RedisProbe({
      interval: times.probeInterval,
      wire: () => (this.client ? this.#probeWire : undefined),
      send: (wire, message) => options.probe(wire, message),
      received: () => bytesRead(this.client),
      deaf: () => this.replace()
    })
  }

  get client(): RedisClient | undefined {
    return this.#link.client
  }

  /** The first attempt to connect has ended, well or not. */
  get isTried(): boolean {
    return this.#isTried
  }

  /** The node's own channel on this server, subscribed with the others. None: the connection is not probed. */
  get probeWire(): string | undefined {
    return this.#probeWire
  }

  set probeWire(wire: string | undefined) {
    this.subscriptions.exchange(listOf(this.#probeWire), listOf(wire))
    this.#probeWire = wire
  }

  start(): Promise<void> {
    return this.#link.start()
  }

  probe(): void {
    void this.#probe.run()
  }

  replace(): void {
    this.#link.replace()
  }

  close(): void {
    this.#probe.stop()
    this.#link.close()
  }

  #create(): RedisClient {
    const { create, isCluster, message } = this.#options
    const client = create()
    client.on(isCluster ? 'smessageBuffer' : 'messageBuffer', (from: Buffer, bytes: Buffer) => {
      // One that isn't in use yet, or any more: its twin hears the same.
      if (client !== this.client) return
      const wire = from.toString()
      if (wire === this.#probeWire) this.#probe.heard(bytes.toString())
      else message(wire, bytes)
    })
    client.on('moved', () => {
      if (client === this.client) this.#options.moved()
    })
    return client
  }

  async #prepare(client: RedisClient): Promise<void> {
    await this.subscriptions.prepare(client)
    if (this.#probeWire === undefined) return
    // A server that does not let go of channels would be noticed by nobody.
    const none = `${this.#probeWire}none`
    await (this.#options.isCluster ? client.sunsubscribe(none) : client.unsubscribe(none))
  }

  #adopt(client: RedisClient): void {
    this.#isTried = true
    this.subscriptions.adopt(client).catch(() => {
      if (client === this.client) this.replace()
    })
    this.#options.adopted()
  }
}

function listOf(wire: string | undefined): string[] {
  return wire === undefined ? [] : [wire]
}
