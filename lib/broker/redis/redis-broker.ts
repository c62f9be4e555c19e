import { randomBytes } from 'node:crypto'
import { assertPrefix } from '../../input/key-prefix.ts'
import { writeTags } from '../../protocol/tags.ts'
import type {
  Broker,
  BrokerListener,
  BrokerPublishOptions,
  HistoryPage,
  HistoryQuery,
  PresenceEntry,
  PresenceEventKind,
  Published
} from '../broker.ts'
import { isOffset } from '../offset.ts'
import { RedisAudits } from './audits.ts'
import { type RedisDriver, redisClients } from './clients.ts'
import type { RedisCommands } from './commands.ts'
import { RedisConnections } from './connections.ts'
import type { RedisArgument } from './encoded-command.ts'
import { MAX_MESSAGE_BYTES, REMOVAL, readEnvelope, writePresence, writePublication } from './envelope.ts'
import { type ChannelKeys, RedisKeys } from './keys.ts'
import { type QueuedCall, RedisLanes } from './lanes.ts'
import {
  DEFAULT_MAX_PENDING,
  DEFAULT_PREFIX,
  DEFAULT_TIMES,
  type RedisBrokerOptions,
  type RedisBrokerTimes
} from './options.ts'
import { checkPermissions, reachableName } from './permissions.ts'
import { type PublishReply, type RedisEntry, runPublish, type ScriptedClient } from './scripts.ts'
import { publicationOf, timeOf } from './stream-entry.ts'
import { NOTHING, RedisWitness, type StreamMark } from './witness.ts'

export type { RedisBrokerOptions, RedisBrokerTimes } from './options.ts'

const DEFAULT_IDEMPOTENCY_TTL = 300_000
const WITHOUT_POSITION: Published = { offset: 0, epoch: '', duplicate: false }

/** A channel to which this node is subscribed. */
interface Subscribed {
  readonly channel: string
  readonly witness: RedisWitness
}

/**
 * The broker of many processes, over Redis 7 or newer: one server, Sentinel, or a cluster with sharded pub/sub.
 *
 * A publish with history is one script in one hash slot. If its answer is received, the publish has happened; if the
 * answer is lost, the outcome is unknown. No command is sent twice. While Redis is unavailable, every call rejects.
 * When it is available again, every channel is subscribed again and audited.
 */
export class RedisBroker implements Broker {
  readonly #times: RedisBrokerTimes
  readonly #keys: RedisKeys
  readonly #spublish: boolean
  readonly #connections: RedisConnections
  readonly #commands: RedisCommands
  readonly #lanes: RedisLanes
  readonly #audits: RedisAudits
  /** Subscribed channels by their topic. */
  readonly #channels = new Map<string, Subscribed>()
  readonly #epochSeed = randomBytes(6).toString('base64url')
  #epochs = 0
  #listener: BrokerListener | undefined

  /**
   * Throws `FST_RT_INVALID_OPTION`.
   * @param driver The result of `loadDriver` for the option `redis`.
   */
  constructor(options: RedisBrokerOptions, driver: RedisDriver | undefined) {
    const { redis, prefix = DEFAULT_PREFIX, maxPending = DEFAULT_MAX_PENDING, times, refused } = options
    assertPrefix(prefix)
    this.#times = { ...DEFAULT_TIMES, ...times }
    const clients = redisClients(redis, this.#times, driver)
    this.#spublish = clients.isCluster
    this.#keys = new RedisKeys(prefix, clients.database)
    const checkKeys = new RedisKeys(`${prefix}:@check`, clients.database)
    this.#lanes = new RedisLanes({ maxPending, send: (channel, messages) => this.#sendAll(channel, messages) })
    this.#audits = new RedisAudits(this.#times.auditPeriod, (channels) => this.#audit(channels))
    this.#connections = new RedisConnections({
      clients,
      keys: this.#keys,
      times: this.#times,
      maxPending,
      check: (client, isReachable) => this.#check(client, checkKeys, isReachable),
      message: (topic, message) => this.#receive(topic, message),
      state: (up, cause) => this.#listener?.state(up, cause),
      shard: (server, up, cause) => this.#listener?.shard?.(server, up, cause),
      refused: (cause) => refused?.(cause),
      missed: (topics) => this.#audit(topics.flatMap((topic) => this.#channels.get(topic)?.channel ?? []))
    })
    this.#commands = this.#connections.commands
  }

  get up(): boolean {
    return this.#connections.up
  }

  get shards(): ReadonlyMap<string, boolean> {
    return this.#connections.shards
  }

  /** @param listener Undefined for a process that only publishes. Such a process has one connection. */
  async start(listener?: BrokerListener): Promise<void> {
    this.#listener = listener
    await this.#connections.start(listener !== undefined)
    if (listener !== undefined) this.#audits.start()
  }

  async subscribe(channel: string): Promise<void> {
    const topic = this.#keys.topic(channel)
    const entry = { channel, witness: new RedisWitness() }
    this.#channels.set(topic, entry)
    this.#audits.add(channel)
    try {
      await this.#connections.subscriptions.add(topic)
    } catch (error) {
      // If the channel was unsubscribed and subscribed again meanwhile, the entry belongs to the later call.
      if (this.#channels.get(topic) === entry) this.#forget(channel, topic)
      throw error
    }
  }

  async unsubscribe(channel: string): Promise<void> {
    const topic = this.#keys.topic(channel)
    this.#forget(channel, topic)
    await this.#connections.subscriptions.remove(topic)
  }

  publish(channel: string, data: Buffer, options: BrokerPublishOptions = {}): Promise<Published> {
    const { history, idempotencyKey, idempotencyTtl: keyTtl = DEFAULT_IDEMPOTENCY_TTL } = options
    if (history || idempotencyKey !== undefined) return this.#lanes.publish(channel, { ...options, data, keyTtl })
    return this.#send(channel, writePublication(data, Date.now(), options))
  }

  async history(channel: string, query: HistoryQuery): Promise<HistoryPage> {
    const { since, limit, maxBytes = 0, reverse = false, ages = false } = query
    // No publication is after an invalid offset, or before the first one. Then only the position is read.
    const isEmpty = since !== undefined && (!isOffset(since.offset) || (reverse && since.offset === 0))
    const count = isEmpty ? 0 : Math.max(0, limit)
    const witness = this.#channels.get(this.#keys.topic(channel))?.witness
    const known = witness?.mark ?? NOTHING
    const { meta, stream } = this.#keys.channel(channel)
    try {
      const read = (client: ScriptedClient) =>
        client.rtHistoryBuffer(
          meta,
          stream,
          count,
          isEmpty ? '' : (since?.offset ?? ''),
          reverse ? 1 : 0,
          this.#times.positionTtl,
          this.#freshEpoch(),
          ...markArguments(known),
          maxBytes
        )
      // A position is a small answer, and other calls wait for it. So it must not wait behind large answers.
      const [epoch, offset, at, entries, now, size] = await (count > 0
        ? this.#connections.read(read, meta)
        : this.#commands.run(false, read, meta))
      const position = { offset, epoch: epoch.toString() }
      witness?.positionRead(known, { ...position, at }, count > 0)
      if (limit === 0) return { publications: [], position, size }
      const publications = entries.map((entry) => publicationOf(entry, position.epoch))
      if (!ages) return { publications, position }
      return {
        publications: publications.map((one, index) => ({ ...one, age: now - timeOf(entries[index] as RedisEntry) })),
        position
      }
    } finally {
      witness?.readEnded()
    }
  }

  async removeHistory(channel: string): Promise<void> {
    const { meta, stream, topic } = this.#keys.channel(channel)
    const remove = (client: ScriptedClient) =>
      client.rtHistoryRemove(
        meta,
        stream,
        topic,
        this.#spublish ? 'SPUBLISH' : 'PUBLISH',
        this.#times.positionTtl,
        this.#freshEpoch(),
        REMOVAL
      )
    await this.#commands.run(true, remove, topic)
  }

  async publishPresence(channel: string, kind: PresenceEventKind, info: Buffer): Promise<void> {
    await this.#send(channel, writePresence(kind, info))
  }

  async addPresence(channel: string, { connection, user, info }: PresenceEntry, ttl: number): Promise<void> {
    const keys = this.#keys.presence(channel)
    await this.#commands.run(true, (client) => client.rtPresenceAdd(...keys, connection, user, info, ttl), keys[0])
  }

  async removePresence(channel: string, connection: string): Promise<void> {
    const keys = this.#keys.presence(channel)
    await this.#commands.run(true, (client) => client.rtPresenceRemove(...keys, connection), keys[0])
  }

  async presence(channel: string): Promise<readonly PresenceEntry[]> {
    const keys = this.#keys.presence(channel)
    const [users, infos] = await this.#commands.run(false, (client) => client.rtPresenceListBuffer(...keys), keys[0])
    const info = new Map(pairs(infos).map(([connection, bytes]) => [connection.toString(), bytes]))
    return pairs(users).flatMap(([id, user]) => {
      const connection = id.toString()
      const bytes = info.get(connection)
      // If one of the two keys was evicted, the next refresh adds the entry again.
      return bytes ? [{ connection, user: user.toString(), info: bytes }] : []
    })
  }

  async presenceStats(channel: string): Promise<{ connections: number; users: number }> {
    const keys = this.#keys.presence(channel)
    const [connections, users] = await this.#commands.run(false, (client) => client.rtPresenceStats(...keys), keys[0])
    return { connections, users }
  }

  async acquireLease(key: string, holder: string, limit: number, ttl: number): Promise<boolean> {
    const name = this.#keys.lease(key)
    const acquire = (client: ScriptedClient) => client.rtLeaseAcquire(name, holder, limit, ttl)
    return (await this.#commands.run(true, acquire, name)) === 1
  }

  async releaseLease(key: string, holder: string): Promise<void> {
    const name = this.#keys.lease(key)
    await this.#commands.run(true, (client) => client.zrem(name, holder), name)
  }

  async takeTokens(
    key: string,
    wanted: number,
    { rate, burst }: { rate: number; burst: number }
  ): Promise<{ granted: number; retryAfter: number }> {
    const name = this.#keys.tokens(key)
    const take = (client: ScriptedClient) => client.rtTokensTake(name, wanted, rate, burst)
    const reply = await this.#commands.run(true, take, name)
    return { granted: reply[0], retryAfter: reply[1] }
  }

  async close(): Promise<void> {
    this.#audits.stop()
    this.#listener = undefined
    this.#lanes.flush()
    await this.#connections.close()
  }

  /**
   * Sends a complete message. A single server runs commands in the order in which they are sent, so without a cluster
   * the message only waits for messages in the channel's lane.
   */
  #send(channel: string, message: Buffer): Promise<Published> {
    if (this.#spublish || this.#lanes.has(channel)) return this.#lanes.publish(channel, { data: message, keyTtl: -1 })
    return this.#sendAlone(channel, message)
  }

  #sendAlone(channel: string, message: Buffer): Promise<Published> {
    const { topic } = this.#keys.channel(channel)
    const name = this.#spublish ? 'spublish' : 'publish'
    const send = (client: ScriptedClient) => client.sendEncoded(name, [topic, message], [topic])
    return this.#commands.run(true, send, topic).then(() => WITHOUT_POSITION)
  }

  #sendAll(channel: string, messages: readonly QueuedCall[]): Promise<readonly PublishReply[]> {
    const [first] = messages as [QueuedCall]
    if (messages.length === 1 && first.keyTtl < 0) return this.#sendAlone(channel, first.data).then(() => [[0, 0, '']])
    const keys = this.#keys.channel(channel)
    return this.#commands.run(true, (client) => this.#publish(client, keys, messages), keys.topic)
  }

  #publish(
    client: ScriptedClient,
    keys: ChannelKeys,
    messages: readonly QueuedCall[]
  ): Promise<readonly PublishReply[]> {
    const [{ history }] = messages as [QueuedCall]
    const { epoch, offset, at } = this.#channels.get(keys.topic)?.witness.mark ?? NOTHING
    const args: RedisArgument[] = [
      keys.meta,
      keys.stream,
      keys.answers,
      keys.expiries,
      keys.topic,
      this.#spublish ? 'SPUBLISH' : 'PUBLISH',
      history?.size ?? 0,
      history?.ttl ?? 0,
      history?.maxBytes ?? Number.MAX_SAFE_INTEGER,
      Math.max(this.#times.positionTtl, history?.ttl ?? 0),
      this.#freshEpoch(),
      epoch,
      offset,
      at,
      Date.now()
    ]
    for (const { data, info = '', except = '', tags, binary, idempotencyKey = '', keyTtl } of messages) {
      const tagged = tags === undefined ? '' : writeTags(tags)
      args.push(data, info, except, tagged, binary ? 1 : '', idempotencyKey, keyTtl)
    }
    return runPublish(client, args)
  }

  #freshEpoch(): string {
    return `${this.#epochSeed}${(this.#epochs++).toString(36)}`
  }

  /** Runs each command once, on keys that belong to no channel, so that the start detects a missing permission. */
  async #check(client: ScriptedClient, keys: RedisKeys, isReachable: (key: string) => boolean): Promise<void> {
    const name = reachableName(this.#epochSeed, (tried) => isReachable(keys.topic(tried)))
    const onlyPublishes = this.#listener === undefined
    await checkPermissions(client, keys.check(name), onlyPublishes)
    const history = { size: 1, ttl: 1000 }
    const names = keys.channel(name)
    const { meta, stream, answers, expiries } = names
    await this.#publish(client, names, [{ data: Buffer.from('0'), history, idempotencyKey: name, keyTtl: 1000 }])
    if (!onlyPublishes) {
      await client.rtHistoryBuffer(meta, stream, 1, '', 0, 1000, name, ...markArguments(NOTHING), 0)
      await client.rtPresenceAdd(...keys.presence(name), name, name, name, 1000)
      await client.rtPresenceRemove(...keys.presence(name), name)
      await client.rtLeaseAcquire(keys.lease(name), name, 1, 1000)
      await client.rtTokensTake(keys.tokens(name), 1, 1, 1)
      await client.zrem(keys.lease(name), name)
    }
    await client.del(meta, stream, answers, expiries, keys.lease(name), keys.tokens(name))
  }

  #receive(topic: string, message: Buffer): void {
    const entry = this.#channels.get(topic)
    // Right after an unsubscribe, messages of an unknown topic may arrive.
    if (entry === undefined || this.#listener === undefined) return
    const { channel, witness } = entry
    const envelope = readEnvelope(message)
    if (envelope === undefined) {
      this.#listener.dropped(channel)
      // It may have been a publication. The audit reads it from history.
      if (message.length > MAX_MESSAGE_BYTES) this.#audit([channel])
    } else if (envelope.kind === 'removal') this.#audit([channel])
    else if (envelope.kind !== 'publication') this.#listener.presence(channel, envelope.kind, envelope.info)
    else {
      const { publication, link } = envelope
      const verdict = link === undefined ? 'deliver' : witness.observe(publication, link)
      if (verdict === 'deliver') this.#listener.publication(channel, publication)
      else if (verdict === 'audit') this.#audit([channel])
    }
  }

  #audit(channels: Iterable<string>): void {
    const names = [...channels]
    if (names.length > 0 && this.up) this.#listener?.audit(names)
  }

  #forget(channel: string, topic: string): void {
    this.#channels.delete(topic)
    this.#audits.delete(channel)
  }
}

function markArguments({ epoch, offset, at }: StreamMark): [string, number, number] {
  return [epoch, offset, at]
}

function pairs(flat: readonly Buffer[]): Array<[name: Buffer, value: Buffer]> {
  return Array.from({ length: flat.length / 2 }, (_, at) => [flat[2 * at] as Buffer, flat[2 * at + 1] as Buffer])
}
