import { randomBytes } from 'node:crypto'
import { ConflictError } from '../errors.ts'
import type {
  Broker,
  BrokerListener,
  HistoryPage,
  HistoryQuery,
  PresenceEntry,
  PresenceEventKind,
  Publication,
  PublishOptions,
  PublishResult
} from './broker.ts'
import { readEnvelope, writePresence, writePublication } from './envelope.ts'
import { assertPrefix, RedisKeys } from './keys.ts'
import { isOffset } from './offset.ts'
import { RedisAudits } from './redis-audits.ts'
import { redisClients } from './redis-clients.ts'
import { RedisConnections } from './redis-connections.ts'
import {
  DEFAULT_MAX_PENDING,
  DEFAULT_PREFIX,
  DEFAULT_TIMES,
  type RedisBrokerOptions,
  type RedisBrokerTimes
} from './redis-options.ts'
import type { RedisEntry, ScriptedClient } from './redis-scripts.ts'

export type { RedisBrokerOptions, RedisBrokerTimes } from './redis-options.ts'

const DEFAULT_IDEMPOTENCY_TTL = 300_000

/** What a script is told about positions (position.lua). */
interface Marks {
  readonly replid: string
  readonly freshEpoch: string
}

/**
 * The broker of many processes, over Redis 7 or newer: one server, Sentinel, or a cluster with sharded pub/sub.
 *
 * A publish with history is one script in one hash slot; its answer says that it happened, its loss that nobody
 * knows. Nothing is sent twice. While Redis is away every call rejects, and once it is back every channel is
 * subscribed again and audited.
 */
export class RedisBroker implements Broker {
  readonly #times: RedisBrokerTimes
  readonly #keys: RedisKeys
  readonly #spublish: boolean
  readonly #connections: RedisConnections
  readonly #audits: RedisAudits
  readonly #channels = new Map<string, { readonly channel: string }>()
  readonly #epochSeed = randomBytes(6).toString('base64url')
  #epochs = 0
  #listener: BrokerListener | undefined

  /** Throws `FST_RT_INVALID_OPTION`. */
  constructor({ redis, prefix = DEFAULT_PREFIX, maxPending = DEFAULT_MAX_PENDING, times }: RedisBrokerOptions) {
    assertPrefix(prefix)
    this.#times = { ...DEFAULT_TIMES, ...times }
    const clients = redisClients(redis, this.#times)
    this.#spublish = clients.isCluster
    this.#keys = new RedisKeys(prefix, clients.database)
    const checkKeys = new RedisKeys(`${prefix}:@check`, clients.database)
    this.#audits = new RedisAudits(this.#times.auditPeriod, (channels) => this.#audit(channels))
    this.#connections = new RedisConnections({
      clients,
      keys: this.#keys,
      times: this.#times,
      maxPending,
      check: (client) => this.#check(client, checkKeys),
      message: (wire, message) => this.#heard(wire, message),
      state: (up, cause) => this.#listener?.state(up, cause),
      missed: () => this.#audit(this.#audits.channels)
    })
  }

  get up(): boolean {
    return this.#connections.up
  }

  /** @param listener None: for who publishes only, and hears nothing. */
  async start(listener?: BrokerListener): Promise<void> {
    this.#listener = listener
    await this.#connections.start()
    this.#audits.start()
  }

  async subscribe(channel: string): Promise<void> {
    const wire = this.#keys.wire(channel)
    const entry = { channel }
    this.#channels.set(wire, entry)
    this.#audits.add(channel)
    try {
      await this.#connections.subscriptions.add(wire)
    } catch (error) {
      // Unsubscribed and subscribed again meanwhile, it is another's.
      if (this.#channels.get(wire) === entry) this.#forget(channel, wire)
      throw error
    }
  }

  async unsubscribe(channel: string): Promise<void> {
    const wire = this.#keys.wire(channel)
    this.#forget(channel, wire)
    await this.#connections.subscriptions.remove(wire)
  }

  async publish(channel: string, data: Buffer, options: PublishOptions = {}): Promise<PublishResult> {
    if (options.history || options.idempotencyKey !== undefined) {
      const marks = this.#marks()
      const [outcome, offset, epoch] = await this.#connections.run(true, (client) =>
        this.#publish(client, this.#keys, channel, data, options, marks)
      )
      if (outcome === 2) throw new ConflictError()
      return { offset, epoch, duplicate: outcome === 1 }
    }
    await this.#send(this.#keys.wire(channel), writePublication(data, Date.now(), options.info))
    return { offset: 0, epoch: '', duplicate: false }
  }

  async history(channel: string, query: HistoryQuery): Promise<HistoryPage> {
    const { since, limit, maxBytes = 0, reverse = false, ages = false } = query
    // Nothing lies after what is no offset, nor before the first: the position alone is asked for.
    const isEmpty = since !== undefined && (!isOffset(since.offset) || (reverse && since.offset === 0))
    const range = reverse
      ? ['XREVRANGE', since ? `${since.offset - 1}` : '+', '-']
      : ['XRANGE', since ? `${since.offset + 1}` : '-', '+']
    const { replid, freshEpoch } = this.#marks()
    const [epoch, offset, entries, now] = await this.#connections.run(false, (client) =>
      client.rtHistoryBuffer(
        this.#keys.meta(channel),
        this.#keys.stream(channel),
        isEmpty ? 0 : Math.max(0, limit),
        ...(isEmpty ? ['XRANGE', '-', '+'] : range),
        this.#times.positionTtl,
        replid,
        freshEpoch,
        maxBytes
      )
    )
    const position = { offset, epoch: epoch.toString() }
    const publications = entries.map((entry) => publicationOf(entry, position.epoch))
    if (!ages) return { publications, position }
    return {
      publications: publications.map((one, at) => ({ ...one, age: now - timeOf(entries[at] as RedisEntry) })),
      position
    }
  }

  async removeHistory(channel: string): Promise<void> {
    await this.#connections.run(true, (client) => client.del(this.#keys.meta(channel), this.#keys.stream(channel)))
  }

  publishPresence(channel: string, kind: PresenceEventKind, info: Buffer): Promise<void> {
    return this.#send(this.#keys.wire(channel), writePresence(kind, info))
  }

  async addPresence(channel: string, { connection, user, info }: PresenceEntry, ttl: number): Promise<void> {
    const keys = this.#keys.presence(channel)
    await this.#connections.run(true, (client) => client.rtPresenceAdd(...keys, connection, user, info, ttl))
  }

  async removePresence(channel: string, connection: string): Promise<void> {
    const keys = this.#keys.presence(channel)
    await this.#connections.run(true, (client) => client.rtPresenceRemove(...keys, connection))
  }

  async presence(channel: string): Promise<readonly PresenceEntry[]> {
    const keys = this.#keys.presence(channel)
    const [users, infos] = await this.#connections.run(false, (client) => client.rtPresenceListBuffer(...keys))
    const info = new Map(pairs(infos).map(([connection, bytes]) => [connection.toString(), bytes]))
    return pairs(users).flatMap(([id, user]) => {
      const connection = id.toString()
      const bytes = info.get(connection)
      // Where one key of the two was evicted, the next refresh brings the entry back.
      return bytes ? [{ connection, user: user.toString(), info: bytes }] : []
    })
  }

  async presenceStats(channel: string): Promise<{ connections: number; users: number }> {
    const keys = this.#keys.presence(channel)
    const [connections, users] = await this.#connections.run(false, (client) => client.rtPresenceStats(...keys))
    return { connections, users }
  }

  async acquireLease(key: string, holder: string, limit: number, ttl: number): Promise<boolean> {
    const name = this.#keys.lease(key)
    return (await this.#connections.run(true, (client) => client.rtLeaseAcquire(name, holder, limit, ttl))) === 1
  }

  async releaseLease(key: string, holder: string): Promise<void> {
    await this.#connections.run(true, (client) => client.zrem(this.#keys.lease(key), holder))
  }

  async takeTokens(
    key: string,
    wanted: number,
    { rate, burst }: { rate: number; burst: number }
  ): Promise<{ granted: number; retryAfter: number }> {
    const name = this.#keys.tokens(key)
    const reply = await this.#connections.run(true, (client) => client.rtTokensTake(name, wanted, rate, burst))
    return { granted: reply[0], retryAfter: reply[1] }
  }

  async close(): Promise<void> {
    this.#audits.stop()
    this.#listener = undefined
    await this.#connections.close()
  }

  async #send(wire: string, message: Buffer): Promise<void> {
    await this.#connections.run(true, (client) =>
      this.#spublish ? client.spublish(wire, message) : client.publish(wire, message)
    )
  }

  #publish(
    client: ScriptedClient,
    keys: RedisKeys,
    channel: string,
    data: Buffer,
    { history, idempotencyKey, idempotencyTtl = DEFAULT_IDEMPOTENCY_TTL, info }: PublishOptions,
    { replid, freshEpoch }: Marks
  ): ReturnType<ScriptedClient['rtPublish']> {
    return client.rtPublish(
      keys.meta(channel),
      keys.stream(channel),
      keys.idempotency(channel, idempotencyKey ?? ''),
      keys.wire(channel),
      this.#spublish ? 'SPUBLISH' : 'PUBLISH',
      data,
      info ?? '',
      history?.size ?? 0,
      history?.ttl ?? 0,
      Math.max(this.#times.positionTtl, history?.ttl ?? 0),
      replid,
      freshEpoch,
      idempotencyKey === undefined ? 0 : idempotencyTtl,
      Date.now()
    )
  }

  #marks(): Marks {
    return { replid: this.#connections.replid, freshEpoch: `${this.#epochSeed}${(this.#epochs++).toString(36)}` }
  }

  /** Does each kind of thing once, on keys of no channel, so that a missing permission shows at boot. */
  async #check(client: ScriptedClient, keys: RedisKeys): Promise<void> {
    const name = this.#epochSeed
    const options = { history: { size: 1, ttl: 1000 }, idempotencyKey: name, idempotencyTtl: 1000 }
    const meta = keys.meta(name)
    await this.#publish(client, keys, name, Buffer.from('0'), options, this.#marks())
    await client.rtHistoryBuffer(
      meta,
      keys.stream(name),
      1,
      'XRANGE',
      '-',
      '+',
      1000,
      this.#connections.replid,
      name,
      0
    )
    await client.rtPresenceAdd(...keys.presence(name), name, name, name, 1000)
    await client.rtPresenceRemove(...keys.presence(name), name)
    await client.rtLeaseAcquire(keys.lease(name), name, 1, 1000)
    await client.rtTokensTake(keys.tokens(name), 1, 1, 1)
    await client.zrem(keys.lease(name), name)
    await client.del(meta, keys.stream(name), keys.idempotency(name, name), keys.tokens(name))
  }

  #heard(wire: string, message: Buffer): void {
    // Right after an unsubscribe it may be unknown here, as it is to the listener, which ignores it then.
    const channel = this.#channels.get(wire)?.channel as string
    const envelope = readEnvelope(message)
    if (envelope === undefined) this.#listener?.dropped(channel)
    else if (envelope.kind === 'publication') this.#listener?.publication(channel, envelope.publication)
    else this.#listener?.presence(channel, envelope.kind, envelope.info)
  }

  #audit(channels: Iterable<string>): void {
    if (this.#channels.size > 0 && this.up) this.#listener?.audit([...channels])
  }

  #forget(channel: string, wire: string): void {
    this.#channels.delete(wire)
    this.#audits.delete(channel)
  }
}

function publicationOf([id, fields]: RedisEntry, epoch: string): Publication {
  // The id is <offset>-<ms>; the fields are d, data and perhaps i, info.
  return { offset: Number.parseInt(id.toString('latin1'), 10), epoch, data: fields[1] as Buffer, info: fields[3] }
}

/** When an entry was added, by the server's clock. */
function timeOf([id]: RedisEntry): number {
  return Number(id.toString('latin1').split('-')[1])
}

function pairs(flat: readonly Buffer[]): Array<[name: Buffer, value: Buffer]> {
  return Array.from({ length: flat.length / 2 }, (_, at) => [flat[2 * at] as Buffer, flat[2 * at + 1] as Buffer])
}
