import { bytesRead } from './commands.ts'
import { RedisDeadlines } from './deadlines.ts'
import { RedisLink, type RedisLinkOptions } from './link.ts'
import type { RedisBrokerTimes, RedisClient } from './options.ts'
import { RedisProbe } from './probe.ts'
import { RedisSubscriptions } from './subscriptions.ts'

export interface RedisListenerOptions extends Pick<RedisLinkOptions, 'failed' | 'isFatal'> {
  readonly isCluster: boolean
  readonly times: RedisBrokerTimes
  /** Returns a client for the server that is not connected yet. */
  create(): RedisClient
  message(topic: string, message: Buffer): void
  /** Publishes to the node's own topic over the connection for commands. */
  probe(topic: string, message: string): Promise<unknown>
  /** A new connection is in use, and all topics are subscribed on it. */
  adopted(): void
  lost(error: unknown): void
  /** A slot has moved: some topics are no longer subscribed here. */
  moved(): void
}

/** The one connection that listens to a server. This class keeps it open, probes it, and subscribes topics on it. */
export class RedisListener {
  readonly subscriptions: RedisSubscriptions
  readonly #options: RedisListenerOptions
  readonly #link: RedisLink
  readonly #probe: RedisProbe
  #probeTopic: string | undefined
  #hasAttempted = false

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
        this.#hasAttempted = true
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
      topic: () => (this.client ? this.#probeTopic : undefined),
      send: (topic, message) => options.probe(topic, message),
      bytesReceived: () => bytesRead(this.client),
      unresponsive: () => this.replace()
    })
  }

  get client(): RedisClient | undefined {
    return this.#link.client
  }

  /** True if the first attempt to connect has ended, successfully or not. */
  get hasAttempted(): boolean {
    return this.#hasAttempted
  }

  /** The node's own topic on this server, subscribed with the others. If undefined, the connection is not probed. */
  get probeTopic(): string | undefined {
    return this.#probeTopic
  }

  set probeTopic(topic: string | undefined) {
    this.subscriptions.exchange(listOf(this.#probeTopic), listOf(topic))
    this.#probeTopic = topic
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
      // This client is not in use yet, or no longer. The client in use receives the same messages.
      if (client !== this.client) return
      const topic = from.toString()
      if (topic === this.#probeTopic) this.#probe.receive(bytes.toString())
      else message(topic, bytes)
    })
    client.on('moved', () => {
      if (client === this.client) this.#options.moved()
    })
    return client
  }

  async #prepare(client: RedisClient): Promise<void> {
    await this.subscriptions.prepare(client)
    if (this.#probeTopic === undefined) return
    // Checks that UNSUBSCRIBE is permitted, since its errors are ignored later.
    const none = `${this.#probeTopic}none`
    await (this.#options.isCluster ? client.sunsubscribe(none) : client.unsubscribe(none))
  }

  #adopt(client: RedisClient): void {
    this.#hasAttempted = true
    this.subscriptions.adopt(client).catch(() => {
      if (client === this.client) this.replace()
    })
    this.#options.adopted()
  }
}

function listOf(topic: string | undefined): string[] {
  return topic === undefined ? [] : [topic]
}
