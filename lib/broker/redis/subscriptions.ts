import { UnavailableError } from '../../errors.ts'
import type { RedisDeadlines } from './deadlines.ts'
import { errorWord } from './errors.ts'
import type { RedisClient } from './options.ts'
import { redisSlot } from './slot.ts'

// Maximum number of names in one SUBSCRIBE. A longer command would block the server for too long.
const CHUNK = 500

export interface RedisSubscriptionsOptions {
  readonly isCluster: boolean
  /** The client in use, if there is one. */
  current(): RedisClient | undefined
  readonly deadlines: RedisDeadlines
}

/**
 * The topics (pub/sub channels) of one connection that listens. Its client may be replaced: every new client is
 * subscribed to all topics before it is used.
 */
export class RedisSubscriptions {
  /** Each topic with a symbol for its latest `add`: it may be removed and added again while the first `add` waits. */
  readonly #wanted = new Map<string, symbol>()
  readonly #isCluster: boolean
  readonly #current: () => RedisClient | undefined
  readonly #deadlines: RedisDeadlines
  #prepared = new Set<string>()

  constructor({ isCluster, current, deadlines }: RedisSubscriptionsOptions) {
    this.#isCluster = isCluster
    this.#current = current
    this.#deadlines = deadlines
  }

  get topics(): readonly string[] {
    return [...this.#wanted.keys()]
  }

  has(topic: string): boolean {
    return this.#wanted.has(topic)
  }

  /** Removes and adds topics without a command to the client in use. The next client is subscribed to the new set. */
  exchange(removed: readonly string[], added: readonly string[]): void {
    for (const topic of removed) this.#wanted.delete(topic)
    for (const topic of added) this.#wanted.set(topic, Symbol())
  }

  /** Subscribes the topics on the client in use, if there is one, even if they are already subscribed. */
  async renew(topics: readonly string[]): Promise<void> {
    const client = this.#current()
    if (client) await this.#subscribe(client, topics)
  }

  /**
   * Rejects with `FST_RT_UNAVAILABLE` if the topic could not be subscribed, and with the server's own error if another
   * server has its slot.
   */
  async add(topic: string): Promise<void> {
    const request = Symbol()
    this.#wanted.set(topic, request)
    for (;;) {
      const client = this.#current()
      try {
        if (!client) throw new UnavailableError()
        await this.#subscribe(client, [topic])
        return
      } catch (error) {
        // The client was replaced. Its successor may have been prepared before this topic was added.
        if (client && this.#current() && client !== this.#current()) continue
        if (this.#wanted.get(topic) === request) this.#wanted.delete(topic)
        throw errorWord(error) === 'MOVED' ? error : new UnavailableError()
      }
    }
  }

  async remove(topic: string): Promise<void> {
    this.#wanted.delete(topic)
    const client = this.#current()
    if (client) await this.#unsubscribe(client, topic)
  }

  /** Subscribes all topics on a client that isn't in use yet. */
  async prepare(client: RedisClient): Promise<void> {
    this.#prepared = new Set()
    for (;;) {
      const missing = this.#missing()
      if (missing.length === 0) return
      await this.#subscribe(client, missing)
      for (const topic of missing) this.#prepared.add(topic)
    }
  }

  /** Applies the changes since `prepare` ended. Call it in the same turn in which the client comes into use. */
  async adopt(client: RedisClient): Promise<void> {
    const removed = [...this.#prepared].filter((topic) => !this.#wanted.has(topic))
    const missing = this.#missing()
    this.#prepared = new Set()
    await Promise.all([this.#subscribe(client, missing), ...removed.map((topic) => this.#unsubscribe(client, topic))])
  }

  #missing(): string[] {
    return [...this.#wanted.keys()].filter((topic) => !this.#prepared.has(topic))
  }

  async #subscribe(client: RedisClient, topics: readonly string[]): Promise<void> {
    const chunks = this.#isCluster ? bySlot(topics) : [...chunksOf(topics)]
    const subscribe = (chunk: string[]) =>
      this.#deadlines.within(this.#isCluster ? client.ssubscribe(...chunk) : client.subscribe(...chunk))
    await Promise.all(chunks.map(subscribe))
  }

  async #unsubscribe(client: RedisClient, topic: string): Promise<void> {
    const answer = this.#isCluster ? client.sunsubscribe(topic) : client.unsubscribe(topic)
    await this.#deadlines.within(answer).catch(ignore)
  }
}

// If the connection is closed, it is subscribed to nothing. If the server refused, the messages that it still sends are
// dropped.
function ignore(): void {}

function bySlot(topics: readonly string[]): string[][] {
  const slots = new Map<number, string[]>()
  for (const topic of topics) {
    const slot = redisSlot(topic)
    const sameSlot = slots.get(slot)
    if (sameSlot) sameSlot.push(topic)
    else slots.set(slot, [topic])
  }
  return [...slots.values()].flatMap((sameSlot) => [...chunksOf(sameSlot)])
}

function* chunksOf(topics: readonly string[]): Generator<string[]> {
  for (let at = 0; at < topics.length; at += CHUNK) yield topics.slice(at, at + CHUNK)
}
