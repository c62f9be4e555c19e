import { randomBytes } from 'node:crypto'
import { UnavailableError } from '../errors.ts'
import type { RedisKeys } from './keys.ts'
import type { RedisClients } from './redis-clients.ts'
import { bytesRead, RedisCommands } from './redis-commands.ts'
import { RedisDeadlines } from './redis-deadlines.ts'
import { errorWord, fatalError, isRefusedWrite } from './redis-errors.ts'
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
  /** Redis turns us away by what stands in the configuration. Called with each attempt to come back. */
  refused(cause: Error): void
  /** Messages may have been missed on any channel. */
  missed(): void
}

/**
 * The connections of a broker: one for commands, one that listens, and from the first page of history on one that reads
 * history, so that a large answer holds up no other command. Says whether they can be used.
 *
 * The broker is up while the first two are and Redis takes writes. Whenever either is another than before, messages may
 * have been missed. A broker that only publishes has the first alone.
 */
export class RedisConnections {
  readonly subscriptions: RedisSubscriptions
  readonly #options: RedisConnectionsOptions
  readonly #commands: RedisCommands
  readonly #reads: RedisCommands
  readonly #subscriber: RedisLink
  readonly #probe: RedisProbe
  readonly #node = randomBytes(9).toString('base64url')
  #probeWires: string[] = []
  #listens = true
  #isReading = false
  #checked = false
  /** Servers that take no writes, by the probe's tag. */
  readonly #unwritable = new Map<string, unknown>()
  #told: boolean | undefined

  constructor(options: RedisConnectionsOptions) {
    this.#options = options
    const { clients, times, maxPending } = options
    const { isCluster } = clients
    const common = {
      isCluster,
      commandTimeout: times.commandTimeout,
      maxPending,
      isFatal: (error: unknown) => fatalError(error) !== undefined,
      attemptTimeout: times.connectTimeout + 2 * times.commandTimeout,
      reconnectDelay: times.reconnectDelay,
      create: () => clients.create(),
      failed: (error: unknown) => this.#failed(error),
      demoted: () => this.#replaceAll()
    }
    this.#commands = new RedisCommands({
      ...common,
      prepare: (client) => this.#prepareCommands(client),
      adopt: () => this.#adoptCommands(),
      lost: (error) => this.#lost('commands', error)
    })
    this.#reads = new RedisCommands({
      ...common,
      prepare: (client) => this.#prepareReads(client),
      adopt: () => {},
      // History is read by the connection for commands until it is back.
      lost: () => {}
    })
    this.#subscriber = new RedisLink({
      ...common,
      create: () => this.#createSubscriber(),
      prepare: (client) => this.#prepareSubscriber(client),
      adopt: (client) => this.#adoptSubscriber(client),
      lost: (error) => this.#lost('subscriber', error)
    })
    this.subscriptions = new RedisSubscriptions({
      isCluster,
      current: () => this.#subscriber.client,
      deadlines: new RedisDeadlines(times.commandTimeout, () => bytesRead(this.#subscriber.client))
    })
    this.#probe = new RedisProbe({
      interval: times.probeInterval,
      wires: () => (this.#subscriber.client ? this.#probeWires : []),
      send: (wire, message) => this.#sendProbe(wire, message),
      received: () => bytesRead(this.#subscriber.client),
      deaf: () => this.#subscriber.replace()
    })
  }

  get up(): boolean {
    return this.#isConnected && !this.#isUnwritable
  }

  /** No server takes writes. */
  get #isUnwritable(): boolean {
    return this.#unwritable.size > 0 && this.#unwritable.size >= this.#probeWires.length
  }

  get #isConnected(): boolean {
    return this.#commands.client !== undefined && (!this.#listens || this.#subscriber.client !== undefined)
  }

  /** @param listens False for a broker that only publishes. */
  async start(listens: boolean): Promise<void> {
    this.#listens = listens
    try {
      await Promise.all([this.#commands.start(), listens ? this.#subscriber.start() : undefined])
    } catch (error) {
      await this.close()
      throw fatalError(error)
    }
    if (!this.#isConnected) throw new UnavailableError()
    if (listens) void this.#probe.run()
  }

  /** `writes`: without an answer, the command may have been done. */
  run<Reply>(writes: boolean, command: (client: ScriptedClient) => Promise<Reply>): Promise<Reply> {
    return this.#commands.run(writes, command)
  }

  /** As `run`, for what may have a large answer. */
  read<Reply>(command: (client: ScriptedClient) => Promise<Reply>): Promise<Reply> {
    if (!this.#isReading) {
      this.#isReading = true
      // It tries until it is closed; what is fatal shows on the connection for commands.
      this.#reads.start().catch(() => {
        this.#isReading = false
      })
    }
    const commands = this.#reads.client === undefined ? this.#commands : this.#reads
    return commands.run(false, command)
  }

  async close(): Promise<void> {
    this.#probe.stop()
    const { closeTimeout } = this.#options.times
    await Promise.all([this.#commands.close(closeTimeout), this.#reads.close(closeTimeout)])
    this.#subscriber.close()
  }

  // --- the connections for commands

  async #prepareCommands(client: RedisClient): Promise<void> {
    defineScripts(client)
    await this.#assertMaster(client)
    if (this.#checked) {
      // A server that takes no writes (CLIENT PAUSE, a minority) would be lost with the first publish.
      await this.#write(client, '')
      return
    }
    await this.#options.check(client)
    this.#checked = true
  }

  async #prepareReads(client: RedisClient): Promise<void> {
    defineScripts(client)
    await this.#assertMaster(client)
  }

  #adoptCommands(): void {
    this.#unwritable.clear()
    // It may be of another server from now on.
    if (this.#isReading) this.#reads.replace()
    this.#changed()
  }

  async #assertMaster(client: RedisClient): Promise<void> {
    if (client.isCluster) return
    const info = await client.info('replication')
    if (!/^role:master\r?$/m.test(info)) throw Object.assign(new Error('Not a master'), { code: 'NOT_MASTER' })
  }

  #replaceAll(): void {
    this.#commands.replace()
    if (this.#listens) this.#subscriber.replace()
  }

  /** Pub/sub works on a server that takes no writes, so one is tried. */
  async #write(client: RedisClient, tag: string): Promise<void> {
    await client.set(this.#options.keys.probeKey(this.#node, tag), '', 'PX', 1_000)
  }

  async #sendProbe(wire: string, message: string): Promise<void> {
    const tag = wire.slice(wire.lastIndexOf('{') + 1, -1)
    await this.run(false, (client) => {
      const written = this.#write(client, tag).then(
        () => this.#writes(tag, undefined),
        (error) => this.#writes(tag, error)
      )
      const sent = client.isCluster ? client.spublish(wire, message) : client.publish(wire, message)
      return Promise.all([sent, this.#assertMaster(client), written])
    })
  }

  /** A server takes writes, or refuses them. */
  #writes(tag: string, error: unknown): void {
    if (error !== undefined && !isRefusedWrite(error)) throw error
    const before = this.#isUnwritable
    if (error === undefined) this.#unwritable.delete(tag)
    else this.#unwritable.set(tag, error)
    if (before === this.#isUnwritable) return
    if (before) this.#changed()
    else this.#lost('commands', error)
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
    // A server that does not let go of channels would be noticed by nobody.
    const none = `${wires[0]}none`
    await (client.isCluster ? client.sunsubscribe(none) : client.unsubscribe(none))
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

  #failed(error: unknown): void {
    const cause = fatalError(error)
    if (cause !== undefined) this.#options.refused(cause)
  }

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
