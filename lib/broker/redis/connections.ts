import { randomBytes } from 'node:crypto'
import type { Cluster } from 'ioredis'
import { UnavailableError } from '../../errors.ts'
import type { RedisClients } from './clients.ts'
import { RedisCommands } from './commands.ts'
import { errorWord, fatalError, isRefusedWrite } from './errors.ts'
import type { RedisKeys } from './keys.ts'
import { RedisListeners, SINGLE } from './listeners.ts'
import type { RedisBrokerTimes, RedisClient } from './options.ts'
import { defineScripts, type ScriptedClient } from './scripts.ts'
import { RedisServers } from './servers.ts'

export interface RedisConnectionsOptions {
  readonly clients: RedisClients
  readonly keys: RedisKeys
  readonly times: RedisBrokerTimes
  readonly maxPending: number
  /**
   * Checks that the server permits all that the broker needs. Called once, on the first connection for commands.
   * @param isReachable Returns true if the key's server is connected.
   */
  check(client: ScriptedClient, isReachable: (key: string) => boolean): Promise<void>
  message(topic: string, message: Buffer): void
  state(up: boolean, cause?: Error): void
  /** A server of a cluster became usable or unusable. Not called for servers that are usable from the start. */
  shard(server: string, up: boolean, cause?: Error): void
  /** Redis refused the connection because of the configuration. Called for each attempt to reconnect. */
  refused(cause: Error): void
  /** Messages of these topics may have been missed. */
  missed(topics: readonly string[]): void
}

// The cause to report if a connection ended without an error.
const CLOSED = new Error('Connection is closed.')

/**
 * The connections of a broker, and whether they are usable:
 *
 * - one for commands;
 * - one that listens (in a cluster, one for each server), unless the broker only publishes;
 * - one that reads history, opened for the first page of history, so that a large answer does not delay other commands.
 *
 * A server is up while commands reach it, a connection listens to it and it accepts writes. The broker is up while at
 * least one server is up. When a connection is replaced, messages may have been missed.
 */
export class RedisConnections {
  readonly subscriptions: RedisListeners
  readonly commands: RedisCommands
  readonly #options: RedisConnectionsOptions
  readonly #reads: RedisCommands
  readonly #nodeId = randomBytes(9).toString('base64url')
  /** The servers of a cluster, as the client in use for commands knows them. */
  #servers: RedisServers | undefined
  /** The servers as the next client for commands knows them. */
  #nextServers: RedisServers | undefined
  #listens = true
  #isReading = false
  #isStarted = false
  #isClosed = false
  #isChecked = false
  /** Servers that accept no writes, with the error. */
  readonly #unwritable = new Map<string, unknown>()
  /** Servers whose listening connection was lost, with the latest error. */
  readonly #losses = new Map<string, unknown>()
  readonly #shards = new Map<string, boolean>()
  /** The last reported state; undefined before the first report. */
  #reportedUp: boolean | undefined

  constructor(options: RedisConnectionsOptions) {
    this.#options = options
    const { clients, keys, times, maxPending, message } = options
    const { isCluster } = clients
    const isFatal = (error: unknown) => fatalError(error) !== undefined
    const failed = (error: unknown) => this.#failed(error)
    const common = {
      isFatal,
      failed,
      isCluster,
      commandTimeout: times.commandTimeout,
      maxPending,
      attemptTimeout: times.connectTimeout + 2 * times.commandTimeout,
      reconnectDelay: times.reconnectDelay,
      create: () => clients.create(),
      isReachable: (key: string) => this.#servers?.isReachable(key) !== false,
      demoted: () => this.#replaceAll()
    }
    this.commands = new RedisCommands({
      ...common,
      prepare: (client) => this.#prepareCommands(client),
      adopt: () => this.#adoptCommands(),
      lost: (error) => this.#lost('commands', error)
    })
    this.#reads = new RedisCommands({
      ...common,
      prepare: (client) => this.#prepareReads(client),
      adopt: () => {},
      // Until this connection is back, history is read over the connection for commands.
      lost: () => {}
    })
    this.subscriptions = new RedisListeners({
      // A server that is only reached after the start must not end the broker.
      isFatal: (error) => !this.#isStarted && isFatal(error),
      failed,
      isCluster,
      times,
      create: (node) => clients.create(node),
      message,
      probeTopic: (tag) => keys.probe(this.#nodeId, tag),
      probe: (server, topic, text) => this.#sendProbe(server, topic, text),
      adopted: (server) => this.#listenerAdopted(server),
      lost: (server, error) => this.#listenerLost(server, error),
      missed: (topics) => this.#missed(topics)
    })
  }

  get up(): boolean {
    // In a cluster, it is not enough to listen to the first server: a topic may belong to another server.
    if (this.#options.clients.isCluster && !this.#isStarted) return false
    return this.commands.client !== undefined && this.#names.some((server) => this.#isUp(server))
  }

  /** The servers of a cluster, and whether each is up. Empty if there is no cluster. */
  get shards(): ReadonlyMap<string, boolean> {
    return this.#shards
  }

  get #names(): readonly string[] {
    return this.#servers === undefined ? [SINGLE] : [...this.#servers.names]
  }

  /** @param listens False for a broker that only publishes. */
  async start(listens: boolean): Promise<void> {
    this.#listens = listens
    try {
      // In a cluster, the connection for commands finds out which servers there are.
      const commands = this.commands.start()
      const listening = () => (listens ? this.subscriptions.start() : undefined)
      await Promise.all([commands, this.#options.clients.isCluster ? commands.then(listening) : listening()])
    } catch (error) {
      await this.close()
      throw fatalError(error)
    }
    if (this.#isClosed) throw new UnavailableError()
    this.#isStarted = true
    this.#report()
  }

  /** Same as `commands.run`, for a command that only reads and may have a large answer. */
  read<Reply>(command: (client: ScriptedClient) => Promise<Reply>, key?: string): Promise<Reply> {
    if (!this.#isReading) {
      this.#isReading = true
      // It retries until it is closed. A fatal error also occurs on the connection for commands, and is reported there.
      this.#reads.start().catch(() => {
        this.#isReading = false
      })
    }
    const commands = this.#reads.client === undefined ? this.commands : this.#reads
    return commands.run(false, command, key)
  }

  async close(): Promise<void> {
    this.#isClosed = true
    const { closeTimeout } = this.#options.times
    await Promise.all([this.commands.close(closeTimeout), this.#reads.close(closeTimeout)])
    this.subscriptions.close()
  }

  // --- the connections for commands

  async #prepareCommands(client: RedisClient): Promise<void> {
    defineScripts(client)
    await this.#assertMaster(client)
    this.#nextServers = client.isCluster ? await this.#serversOf(client as Cluster) : undefined
    const servers = this.#nextServers
    if (this.#isChecked) {
      // If the server accepts no writes (CLIENT PAUSE, a minority), the first publish would lose the connection again.
      await this.#testWrite(client, servers?.reachableTag() ?? '')
      return
    }
    await this.#options.check(client, (key) => servers?.isReachable(key) !== false)
    this.#isChecked = true
  }

  async #serversOf(client: Cluster): Promise<RedisServers> {
    const { connectTimeout, reconnectDelay } = this.#options.times
    const servers: RedisServers = new RedisServers(client, {
      retry: reconnectDelay[1],
      moved: () => this.#rebalance(servers),
      changed: () => this.#reportIfCurrent(servers)
    })
    await servers.attempted(connectTimeout)
    return servers
  }

  async #prepareReads(client: RedisClient): Promise<void> {
    defineScripts(client)
    await this.#assertMaster(client)
  }

  #adoptCommands(): void {
    this.#unwritable.clear()
    this.#servers = this.#nextServers
    if (this.#servers) this.#rebalance(this.#servers)
    // The master may be a different server now. Until the next connection for reads is ready, `commands` takes its reads:
    // a successor would end the reads that wait on the connection before it.
    this.#reads.reconnect()
    this.#report()
    this.#missed(this.subscriptions.topics())
  }

  #rebalance(servers: RedisServers): void {
    if (servers !== this.#servers) return
    if (this.#listens) this.subscriptions.rebalance(servers)
    this.#report()
  }

  #reportIfCurrent(servers: RedisServers): void {
    if (servers === this.#servers) this.#report()
  }

  async #assertMaster(client: RedisClient): Promise<void> {
    if (client.isCluster) return
    const info = await client.info('replication')
    if (!/^role:master\r?$/m.test(info)) throw Object.assign(new Error('Not a master'), { code: 'NOT_MASTER' })
  }

  #replaceAll(): void {
    this.commands.replace()
    if (this.#listens) this.subscriptions.replace()
  }

  /** Tests with a small write whether the server accepts writes: pub/sub works even if it does not. */
  async #testWrite(client: RedisClient, tag: string): Promise<void> {
    await client.set(this.#options.keys.probeKey(this.#nodeId, tag), '', 'PX', 1_000)
  }

  async #sendProbe(server: string, topic: string, message: string): Promise<void> {
    const tag = topic.slice(topic.lastIndexOf('{') + 1, -1)
    const send = (client: RedisClient) => {
      const written = this.#testWrite(client, tag).then(
        () => this.#setWritable(server, undefined),
        (error) => this.#setWritable(server, error)
      )
      const sent = client.isCluster ? client.spublish(topic, message) : client.publish(topic, message)
      return Promise.all([sent, this.#assertMaster(client), written])
    }
    await this.commands.run(false, send, topic)
  }

  /** @param error The error with which the server refused a write. Undefined if it accepted the write. */
  #setWritable(server: string, error: unknown): void {
    if (error !== undefined && !isRefusedWrite(error)) throw error
    const wasUnwritable = this.#unwritable.has(server)
    if (error === undefined) this.#unwritable.delete(server)
    else this.#unwritable.set(server, error)
    if (wasUnwritable === this.#unwritable.has(server)) return
    if (wasUnwritable) {
      this.#report()
      this.#missed(this.subscriptions.topics(server))
    } else this.#lost('commands', error)
  }

  // --- the connections that listen

  #listenerAdopted(server: string): void {
    this.#losses.delete(server)
    this.#report()
  }

  #listenerLost(server: string, error: unknown): void {
    this.#losses.set(server, error)
    this.#lost('subscriber', error)
  }

  // --- both

  #failed(error: unknown): void {
    const cause = fatalError(error)
    if (cause !== undefined) this.#options.refused(cause)
  }

  #missed(topics: readonly string[]): void {
    if (this.up) this.#options.missed(topics)
  }

  #isUp(server: string): boolean {
    if (this.#servers?.isConnected(server) === false || this.#unwritable.has(server)) return false
    return !this.#listens || this.subscriptions.isListening(server)
  }

  /** Reports what has changed since the last report. */
  #report(): void {
    this.#reportShards()
    const { up } = this
    // Before the broker was up for the first time, only a failed attempt is reported.
    if (up === (this.#reportedUp === true)) return
    if (up) {
      this.#reportedUp = true
      this.#options.state(true)
    } else this.#lost('commands', CLOSED)
  }

  #lost(connection: string, error: unknown): void {
    this.#reportShards()
    if (this.up || this.#reportedUp === false) return
    this.#reportedUp = false
    this.#options.state(false, new Error(`Redis (${connection}): ${errorWord(error)}`))
  }

  #reportShards(): void {
    if (this.#servers === undefined || !this.#isStarted) return
    const { names } = this.#servers
    for (const server of this.#shards.keys()) if (!names.has(server)) this.#shards.delete(server)
    for (const server of names) {
      const wasUp = this.#shards.get(server) ?? true
      const up = this.#isUp(server)
      this.#shards.set(server, up)
      if (up === wasUp) continue
      const cause = this.#unwritable.get(server) ?? this.#losses.get(server) ?? CLOSED
      this.#options.shard(server, up, up ? undefined : new Error(`Redis (${server}): ${errorWord(cause)}`))
    }
  }
}
