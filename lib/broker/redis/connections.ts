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
   * Tries out what the server must allow. Called once, with the first connection for commands.
   * @param isReachable Whether a key's server is connected.
   */
  check(client: ScriptedClient, isReachable: (key: string) => boolean): Promise<void>
  message(wire: string, message: Buffer): void
  state(up: boolean, cause?: Error): void
  /** A server of a cluster can be used, or can't. Not called for those that can be used from the start on. */
  shard(server: string, up: boolean, cause?: Error): void
  /** Redis turns us away by what stands in the configuration. Called with each attempt to come back. */
  refused(cause: Error): void
  /** Messages of these channels may have been missed. */
  missed(wires: readonly string[]): void
}

// What there is to say of a connection that ended without an error.
const CLOSED = new Error('Connection is closed.')

/**
 * The connections of a broker: one for commands, one that listens (in a cluster, one for each server), and from the
 * first page of history on one that reads history, so that a large answer holds up no other command. Says whether they
 * can be used.
 *
 * A server is up while commands reach it, a connection listens to it and it takes writes; the broker is up while a
 * server is. Whenever a connection is another than before, messages may have been missed. A broker that only publishes
 * listens to nothing.
 */
export class RedisConnections {
  readonly subscriptions: RedisListeners
  readonly #options: RedisConnectionsOptions
  readonly #commands: RedisCommands
  readonly #reads: RedisCommands
  readonly #node = randomBytes(9).toString('base64url')
  /** The servers of a cluster, as the client in use for commands knows them, and as the next one does. */
  #servers: RedisServers | undefined
  #nextServers: RedisServers | undefined
  #listens = true
  #isReading = false
  #isStarted = false
  #isClosed = false
  #checked = false
  /** Servers that take no writes. */
  readonly #unwritable = new Map<string, unknown>()
  /** Why a server was not listened to when it last was not. */
  readonly #losses = new Map<string, unknown>()
  readonly #shards = new Map<string, boolean>()
  #told: boolean | undefined

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
    this.subscriptions = new RedisListeners({
      // A server that is first reached after the start may not refuse for good.
      isFatal: (error) => !this.#isStarted && isFatal(error),
      failed,
      isCluster,
      times,
      create: (node) => clients.create(node),
      message,
      probeWire: (tag) => keys.probe(this.#node, tag),
      probe: (server, wire, text) => this.#sendProbe(server, wire, text),
      adopted: (server) => this.#listenerAdopted(server),
      lost: (server, error) => this.#listenerLost(server, error),
      missed: (wires) => this.#missed(wires)
    })
  }

  get up(): boolean {
    // In a cluster, the first server that is listened to is not enough to begin with: a channel may be another's.
    if (this.#options.clients.isCluster && !this.#isStarted) return false
    return this.#commands.client !== undefined && this.#names.some((server) => this.#isUp(server))
  }

  /** The servers of a cluster, and whether each is up. Empty for anything else. */
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
      // In a cluster the connection for commands says to whom there is to listen.
      const commands = this.#commands.start()
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

  /**
   * @param writes Without an answer, the command may have been done.
   * @param key A key or pub/sub channel of the command, by which its server is known.
   */
  run<Reply>(writes: boolean, command: (client: ScriptedClient) => Promise<Reply>, key?: string): Promise<Reply> {
    if (!this.#isReachable(key)) return Promise.reject(new UnavailableError())
    return this.#commands.run(writes, command)
  }

  /** As `run`, for what may have a large answer. */
  read<Reply>(command: (client: ScriptedClient) => Promise<Reply>, key?: string): Promise<Reply> {
    if (!this.#isReachable(key)) return Promise.reject(new UnavailableError())
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
    this.#isClosed = true
    const { closeTimeout } = this.#options.times
    await Promise.all([this.#commands.close(closeTimeout), this.#reads.close(closeTimeout)])
    this.subscriptions.close()
  }

  // --- the connections for commands

  async #prepareCommands(client: RedisClient): Promise<void> {
    defineScripts(client)
    await this.#assertMaster(client)
    this.#nextServers = client.isCluster ? await this.#serversOf(client as Cluster) : undefined
    const servers = this.#nextServers
    if (this.#checked) {
      // A server that takes no writes (CLIENT PAUSE, a minority) would be lost with the first publish.
      await this.#write(client, servers?.reachableTag() ?? '')
      return
    }
    await this.#options.check(client, (key) => servers?.isReachable(key) !== false)
    this.#checked = true
  }

  async #serversOf(client: Cluster): Promise<RedisServers> {
    const { connectTimeout, reconnectDelay } = this.#options.times
    const servers: RedisServers = new RedisServers(client, {
      retry: reconnectDelay[1],
      moved: () => this.#arrange(servers),
      changed: () => this.#changed(servers)
    })
    await servers.tried(connectTimeout)
    return servers
  }

  async #prepareReads(client: RedisClient): Promise<void> {
    defineScripts(client)
    await this.#assertMaster(client)
  }

  #adoptCommands(): void {
    this.#unwritable.clear()
    this.#servers = this.#nextServers
    if (this.#servers) this.#arrange(this.#servers)
    // It may be of another server from now on.
    if (this.#isReading) this.#reads.replace()
    this.#report()
    this.#missed(this.subscriptions.wires())
  }

  #arrange(servers: RedisServers): void {
    if (servers !== this.#servers) return
    if (this.#listens) this.subscriptions.arrange(servers)
    this.#report()
  }

  #changed(servers: RedisServers): void {
    if (servers === this.#servers) this.#report()
  }

  async #assertMaster(client: RedisClient): Promise<void> {
    if (client.isCluster) return
    const info = await client.info('replication')
    if (!/^role:master\r?$/m.test(info)) throw Object.assign(new Error('Not a master'), { code: 'NOT_MASTER' })
  }

  #replaceAll(): void {
    this.#commands.replace()
    if (this.#listens) this.subscriptions.replace()
  }

  /** Pub/sub works on a server that takes no writes, so one is tried. */
  async #write(client: RedisClient, tag: string): Promise<void> {
    await client.set(this.#options.keys.probeKey(this.#node, tag), '', 'PX', 1_000)
  }

  async #sendProbe(server: string, wire: string, message: string): Promise<void> {
    const tag = wire.slice(wire.lastIndexOf('{') + 1, -1)
    const send = (client: RedisClient) => {
      const written = this.#write(client, tag).then(
        () => this.#writes(server, undefined),
        (error) => this.#writes(server, error)
      )
      const sent = client.isCluster ? client.spublish(wire, message) : client.publish(wire, message)
      return Promise.all([sent, this.#assertMaster(client), written])
    }
    await this.run(false, send, wire)
  }

  /** A server takes writes, or refuses them. */
  #writes(server: string, error: unknown): void {
    if (error !== undefined && !isRefusedWrite(error)) throw error
    const before = this.#unwritable.has(server)
    if (error === undefined) this.#unwritable.delete(server)
    else this.#unwritable.set(server, error)
    if (before === this.#unwritable.has(server)) return
    if (before) {
      this.#report()
      this.#missed(this.subscriptions.wires(server))
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

  #isReachable(key: string | undefined): boolean {
    return key === undefined || this.#servers?.isReachable(key) !== false
  }

  #missed(wires: readonly string[]): void {
    if (this.up) this.#options.missed(wires)
  }

  #isUp(server: string): boolean {
    if (this.#servers?.isConnected(server) === false || this.#unwritable.has(server)) return false
    return !this.#listens || this.subscriptions.hears(server)
  }

  /** Tells what is another than before. */
  #report(): void {
    this.#reportShards()
    const { up } = this
    // Before it was up, only a failed attempt is news.
    if (up === (this.#told === true)) return
    if (up) {
      this.#told = true
      this.#options.state(true)
    } else this.#lost('commands', CLOSED)
  }

  #lost(connection: string, error: unknown): void {
    this.#reportShards()
    if (this.up || this.#told === false) return
    this.#told = false
    this.#options.state(false, new Error(`Redis (${connection}): ${errorWord(error)}`))
  }

  #reportShards(): void {
    if (this.#servers === undefined || !this.#isStarted) return
    const { names } = this.#servers
    for (const server of this.#shards.keys()) if (!names.has(server)) this.#shards.delete(server)
    for (const server of names) {
      const before = this.#shards.get(server) ?? true
      const up = this.#isUp(server)
      this.#shards.set(server, up)
      if (up === before) continue
      const why = this.#unwritable.get(server) ?? this.#losses.get(server) ?? CLOSED
      this.#options.shard(server, up, up ? undefined : new Error(`Redis (${server}): ${errorWord(why)}`))
    }
  }
}
