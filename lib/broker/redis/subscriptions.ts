import { UnavailableError } from '../../errors.ts'
import type { RedisDeadlines } from './deadlines.ts'
import { errorWord } from './errors.ts'
import type { RedisClient } from './options.ts'
import { redisSlot } from './slot.ts'

// Names in one SUBSCRIBE. More would hold the server for long.
const CHUNK = 500

export interface RedisSubscriptionsOptions {
  readonly isCluster: boolean
  /** The client in use, where there is one. */
  current(): RedisClient | undefined
  readonly deadlines: RedisDeadlines
}

/**
 * The pub/sub channels that a node listens to, on whichever client is there to listen. Only `replace` changes the
 * client, and every channel is subscribed on it by then.
 */
export class RedisSubscriptions {
  /** Each with what stands for the wish, since it may be given up and had again while the first is under way. */
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

  get wires(): readonly string[] {
    return [...this.#wanted.keys()]
  }

  has(wire: string): boolean {
    return this.#wanted.has(wire)
  }

  /** Changes what is subscribed on every client from the next on, without a call to add it: these go, those come. */
  exchange(gone: readonly string[], come: readonly string[]): void {
    for (const wire of gone) this.#wanted.delete(wire)
    for (const wire of come) this.#wanted.set(wire, Symbol())
  }

  /** Subscribes these on the client in use, if there is one, whether they are or not. */
  async renew(wires: readonly string[]): Promise<void> {
    const client = this.#current()
    if (client) await this.#subscribe(client, wires)
  }

  /**
   * Rejects with `FST_RT_UNAVAILABLE` if the channel isn't subscribed afterwards, and with the server's own error if
   * another server has its slot.
   */
  async add(wire: string): Promise<void> {
    const wish = Symbol()
    this.#wanted.set(wire, wish)
    for (;;) {
      const client = this.#current()
      try {
        if (!client) throw new UnavailableError()
        await this.#subscribe(client, [wire])
        return
      } catch (error) {
        // Its successor may have been prepared before this channel was wanted.
        if (client && this.#current() && client !== this.#current()) continue
        if (this.#wanted.get(wire) === wish) this.#wanted.delete(wire)
        throw errorWord(error) === 'MOVED' ? error : new UnavailableError()
      }
    }
  }

  async remove(wire: string): Promise<void> {
    this.#wanted.delete(wire)
    const client = this.#current()
    if (client) await this.#unsubscribe(client, wire)
  }

  /** Subscribes everything on a client that isn't in use yet. */
  async prepare(client: RedisClient): Promise<void> {
    this.#prepared = new Set()
    for (;;) {
      const missing = this.#missing()
      if (missing.length === 0) return
      await this.#subscribe(client, missing)
      for (const wire of missing) this.#prepared.add(wire)
    }
  }

  /** What came and went since `prepare` looked. Call it in the turn in which the client comes into use. */
  async adopt(client: RedisClient): Promise<void> {
    const gone = [...this.#prepared].filter((wire) => !this.#wanted.has(wire))
    const missing = this.#missing()
    this.#prepared = new Set()
    await Promise.all([this.#subscribe(client, missing), ...gone.map((wire) => this.#unsubscribe(client, wire))])
  }

  #missing(): string[] {
    return [...this.#wanted.keys()].filter((wire) => !this.#prepared.has(wire))
  }

  async #subscribe(client: RedisClient, wires: readonly string[]): Promise<void> {
    const chunks = this.#isCluster ? bySlot(wires) : [...chunksOf(wires)]
    const subscribe = (chunk: string[]) =>
      this.#deadlines.within(this.#isCluster ? client.ssubscribe(...chunk) : client.subscribe(...chunk))
    await Promise.all(chunks.map(subscribe))
  }

  async #unsubscribe(client: RedisClient, wire: string): Promise<void> {
    const answer = this.#isCluster ? client.sunsubscribe(wire) : client.unsubscribe(wire)
    await this.#deadlines.within(answer).catch(unheard)
  }
}

// A connection that is gone listens to nothing, and what a server that refused still sends is dropped unheard.
function unheard(): void {}

function bySlot(wires: readonly string[]): string[][] {
  const slots = new Map<number, string[]>()
  for (const wire of wires) {
    const slot = redisSlot(wire)
    const together = slots.get(slot)
    if (together) together.push(wire)
    else slots.set(slot, [wire])
  }
  return [...slots.values()].flatMap((together) => [...chunksOf(together)])
}

function* chunksOf(wires: readonly string[]): Generator<string[]> {
  for (let at = 0; at < wires.length; at += CHUNK) yield wires.slice(at, at + CHUNK)
}
