import { randomBytes } from 'node:crypto'
import type { Cluster, Redis } from 'ioredis'
import { UnavailableError } from '../errors.ts'
import type { RedisKeys } from './keys.ts'
import type { RedisClients } from './redis-clients.ts'
import { isLate, RedisDeadlines } from './redis-deadlines.ts'
import { callerError, errorWord, fatalError } from './redis-errors.ts'
import { RedisLink } from './redis-link.ts'
import type { RedisBrokerTimes, RedisClient } from './redis-options.ts'
import { RedisProbe, type SlotRange, tagsByServer } from './redis-probe.ts'
import { defineScripts, type ScriptedClient } from './redis-scripts.ts'
import { redisSlot } from './redis-slot.ts'
import { RedisSubscriptions } from './redis-subscriptions.ts'

export interface RedisConnectionsOptions {
  readonly clients: RedisClients
  readonly keys: RedisKeys
  readonly times: RedisBrokerTimes
  readonly maxPending: number
  /** Tries out what the server must allow. Called once, with the first connection for commands. */
  check(client: ScriptedClient): Promise<void>
  message(wire: string, message: Buffer): void
  state(up: boolean, cause?: Error): void
  /** Messages may have been missed on any channel. */
  missed(): void
}

/**
 * The two connections of a broker, one for commands and one that listens, and whether they can be used.
 *
 * The broker is up while both are. Whenever either is another than before, messages may have been missed.
 */
export class RedisConnections {
  readonly subscriptions: RedisSubscriptions
  readonly #options: RedisConnectionsOptions
  readonly #commands: RedisLink
  readonly #subscriber: RedisLink
  readonly #probe: RedisProbe
  readonly #deadlines: RedisDeadlines
  readonly #node = randomBytes(9).toString('base64url')
  #probeWires: string[] = []
  #replid = ''
  #checked = false
  #told: boolean | undefined
  #pending = 0
  #idle: (() => void) | undefined
  #corked: Array<{ uncork(): void }> | undefined

  constructor(options: RedisConnectionsOptions) {
    this.#options = options
    const { clients, times } = options
    this.#deadlines = new RedisDeadlines(times.commandTimeout)
    const common = {
      isFatal: (error: unknown) => fatalError(error) !== undefined,
      attemptTimeout: times.connectTimeout + 2 * times.commandTimeout,
      reconnectDelay: times.reconnectDelay
    }
    this.#commands = new RedisLink({
      ...common,
      create: () => clients.create(),
      prepare: (client) => this.#prepareCommands(client),
      adopt: () => this.#changed(),
      lost: (error) => this.#lost('commands', error)
    })
    this.#subscriber = new RedisLink({
      ...common,
      create: () => this.#createSubscriber(),
      prepare: (client) => this.#prepareSubscriber(client),
      adopt: (client) => this.#adoptSubscriber(client),
      lost: (error) => this.#lost('subscriber', error)
    })
    this.subscriptions = new RedisSubscriptions({
      isCluster: clients.isCluster,
      current: () => this.#subscriber.client,
      deadlines: this.#deadlines
    })
    this.#probe = new RedisProbe({
      interval: times.probeInterval,
      wires: () => (this.#subscriber.client ? this.#probeWires : []),
      send: (wire, message) => this.#sendProbe(wire, message),
      deaf: () => this.#subscriber.replace()
    })
  }

  get up(): boolean {
    return this.#commands.client !== undefined && this.#subscriber.client !== undefined
  }

  /** The master's replication id; '' in a cluster, where each master has its own (position.lua asks for it there). */
  get replid(): string {
    return this.#replid
  }

  async start(): Promise<void> {
    try {
      await Promise.all([this.#commands.start(), this.#subscriber.start()])
    } catch (error) {
      await this.close()
      throw fatalError(error)
    }
    if (!this.up) throw new UnavailableError()
    void this.#probe.run()
  }

  /** Runs commands of one event-loop turn in one write. `writes`: without an answer, they may have been done. */
  async run<Reply>(writes: boolean, command: (client: ScriptedClient) => Promise<Reply>): Promise<Reply> {
    const client = this.#commands.client
    if (!client || this.#pending >= this.#options.maxPending) throw new UnavailableError()
    this.#cork(client)
    this.#pending++
    let reply: Reply
    try {
      reply = await this.#deadlines.within(command(client as ScriptedClient))
    } catch (error) {
      this.#release()
      this.#refused(client, error)
      throw callerError(error, writes)
    }
    this.#release()
    return reply
  }

  async close(): Promise<void> {
    this.#probe.stop()
    this.#uncork()
    await this.#answered()
    this.#commands.close()
    this.#subscriber.close()
  }

  #release(): void {
    this.#pending--
    if (this.#pending === 0) this.#idle?.()
  }

  /** What was sent has been answered, or has had its time. */
  async #answered(): Promise<void> {
    if (this.#pending === 0) return
    await new Promise<void>((resolve) => {
      const timeout = setTimeout(resolve, this.#options.times.closeTimeout)
      this.#idle = () => {
        clearTimeout(timeout)
        resolve()
      }
    })
  }

  // --- the connection for commands

  async #prepareCommands(client: RedisClient): Promise<void> {
    defineScripts(client)
    await this.#learnReplid(client)
    if (this.#checked) {
      // A server that takes no writes (CLIENT PAUSE, a minority) would be lost with the first publish.
      await this.#publish(client, this.#options.keys.probe(this.#node, ''), '')
      return
    }
    await this.#options.check(client)
    this.#checked = true
  }

  async #learnReplid(client: RedisClient): Promise<void> {
    if (client.isCluster) return
    const info = await client.info('replication')
    if (!/^role:master\r?$/m.test(info)) throw Object.assign(new Error('Not a master'), { code: 'NOT_MASTER' })
    this.#replid = /^master_replid:(\w+)/m.exec(info)?.[1] ?? ''
  }

  // A master that was demoted and promoted again, with our connection left open, has another id.
  async #sendProbe(wire: string, message: string): Promise<void> {
    await this.run(false, (client) => Promise.all([this.#publish(client, wire, message), this.#learnReplid(client)]))
  }

  #publish(client: RedisClient, wire: string, message: string): Promise<unknown> {
    return client.isCluster ? client.spublish(wire, message) : client.publish(wire, message)
  }

  #refused(client: RedisClient, error: unknown): void {
    // A server that has stopped answering is left: what is sent to it would only pile up.
    if (isLate(error) && !client.isCluster) this.#commands.abandon(client, error)
    const word = errorWord(error)
    if ((word !== 'READONLY' && word !== 'NOT_MASTER') || client !== this.#commands.client) return
    this.#commands.replace()
    this.#subscriber.replace()
  }

  #cork(client: RedisClient): void {
    if (this.#corked) return
    const streams = (client.isCluster ? (client as Cluster).nodes('master') : [client as Redis]).map(
      ({ stream }) => stream
    )
    this.#corked = streams.filter((stream) => stream !== undefined)
    for (const stream of this.#corked) (stream as Redis['stream']).cork()
    setImmediate(() => this.#uncork())
  }

  #uncork(): void {
    for (const stream of this.#corked ?? []) stream.uncork()
    this.#corked = undefined
  }

  // --- the connection that listens

  #createSubscriber(): RedisClient {
    const { clients, message } = this.#options
    const client = clients.create()
    client.on(clients.isCluster ? 'smessageBuffer' : 'messageBuffer', (from: Buffer, bytes: Buffer) => {
      // One that isn't in use yet, or any more: its twin hears the same.
      if (client !== this.#subscriber.client) return
      const wire = from.toString()
      if (this.#probeWires.includes(wire)) this.#probe.heard(wire, bytes.toString())
      else message(wire, bytes)
    })
    return client
  }

  async #prepareSubscriber(client: RedisClient): Promise<void> {
    const tags = client.isCluster
      ? tagsByServer((await client.cluster('SLOTS')) as unknown as SlotRange[], redisSlot)
      : ['']
    const wires = tags.map((tag) => this.#options.keys.probe(this.#node, tag))
    this.subscriptions.exchange(this.#probeWires, wires)
    this.#probeWires = wires
    await this.subscriptions.prepare(client)
  }

  #adoptSubscriber(client: RedisClient): void {
    const again = () => {
      if (client === this.#subscriber.client) this.#subscriber.replace()
    }
    // Slots have moved, or a server is gone: ioredis subscribes again on its own, but not so that one could await it.
    for (const event of ['-node', '-subscriber', 'subscribersReady']) client.on(event, again)
    this.subscriptions.adopt(client).catch(again)
    this.#changed()
  }

  // --- both

  #changed(): void {
    if (!this.up) return
    if (this.#told !== true) {
      this.#told = true
      this.#options.state(true)
    }
    this.#options.missed()
  }

  #lost(connection: string, error: unknown): void {
    if (this.#told === false) return
    this.#told = false
    this.#options.state(false, new Error(`Redis (${connection}): ${errorWord(error)}`))
  }
}
