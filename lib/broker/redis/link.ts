import { setTimeout as delay } from 'node:timers/promises'
import type { RedisClient } from './options.ts'

export interface RedisLinkOptions {
  /** A client that isn't connected yet and doesn't reconnect. */
  create(): RedisClient
  /** Makes a connected client usable, or throws. */
  prepare(client: RedisClient): Promise<void>
  /** The client is the one to use from now on. Called within the turn in which `client` changes. */
  adopt(client: RedisClient): void
  /** There is no client to use (any more, or at first). Called once until the next `adopt`. */
  lost(error: unknown): void
  /** An attempt to make a client has failed; there will be another. */
  failed(error: unknown): void
  /** True for an error that no second attempt mends; looked at only until the first `adopt`. */
  isFatal(error: unknown): boolean
  /** Milliseconds an attempt may take in all. */
  readonly attemptTimeout: number
  readonly reconnectDelay: readonly [first: number, most: number]
}

/**
 * Keeps one usable client of Redis: makes it, has it prepared, and makes the next when it ends or is to be replaced.
 * A client that is replaced stays in use until its successor is ready.
 */
export class RedisLink {
  readonly #options: RedisLinkOptions
  readonly #closing = new AbortController()
  #client: RedisClient | undefined
  #attempt: RedisClient | undefined
  #connecting: Promise<void> | undefined
  #isLost = false

  constructor(options: RedisLinkOptions) {
    this.#options = options
  }

  /** The client to use, where there is one. */
  get client(): RedisClient | undefined {
    return this.#client
  }

  /** Resolves at the first usable client, or at `close`; rejects with an error that is fatal. */
  async start(): Promise<void> {
    await this.#connect(true)
  }

  /** Makes another client. The one in use stays until then. */
  replace(): void {
    this.#connecting ??= this.#reconnect()
  }

  /** Ends a client at once, and makes another; one that is not in use any more is let be. */
  abandon(client: RedisClient, error: unknown): void {
    if (client !== this.#client) return
    this.#drop(error)
    this.replace()
  }

  close(): void {
    this.#closing.abort()
    this.#attempt?.disconnect()
    this.#client?.disconnect()
    this.#client = undefined
  }

  async #reconnect(): Promise<void> {
    await this.#connect(false)
    this.#connecting = undefined
  }

  async #connect(first: boolean): Promise<void> {
    for (let tries = 0; !this.#closing.signal.aborted; tries++) {
      const { client, error } = await this.#try()
      // Closed in the moment in which it became ready: nobody else would end it.
      if (client) return this.#closing.signal.aborted ? client.disconnect() : this.#adopt(client)
      if (first && this.#options.isFatal(error)) throw error
      this.#drop(error)
      this.#options.failed(error)
      await this.#pause(tries)
    }
  }

  /** One attempt. The error is the first that the client told of: what its promise rejects with says less. */
  async #try(): Promise<{ client?: RedisClient; error?: unknown }> {
    const client = this.#options.create()
    this.#attempt = client
    let told: Error | undefined
    // There must be a listener as long as the client lives: without one, ioredis writes to the console.
    client.on('error', (error) => {
      told ??= error
    })
    // A promise of ioredis Cluster may stay open for ever: connect() does when the ready check fails.
    let timeout: NodeJS.Timeout | undefined
    const ended = new Promise<never>((_, reject) => {
      client.once('end', () => reject(new Error('Connection is closed.')))
      timeout = setTimeout(() => reject(new Error('Command timed out')), this.#options.attemptTimeout)
    })
    const error = await Promise.race([this.#open(client), ended]).catch((error: unknown) => told ?? error)
    clearTimeout(timeout)
    this.#attempt = undefined
    if (!error) return { client }
    client.disconnect()
    return { error }
  }

  async #open(client: RedisClient): Promise<void> {
    await client.connect()
    await this.#options.prepare(client)
  }

  #adopt(client: RedisClient): void {
    const before = this.#client
    this.#client = client
    this.#isLost = false
    client.once('end', () => this.abandon(client, new Error('Connection is closed.')))
    this.#options.adopt(client)
    before?.disconnect()
  }

  #drop(error: unknown): void {
    if (this.#isLost) return
    this.#isLost = true
    this.#client?.disconnect()
    this.#client = undefined
    this.#options.lost(error)
  }

  async #pause(tries: number): Promise<void> {
    const [first, most] = this.#options.reconnectDelay
    const base = Math.min(most, first * 2 ** Math.min(tries, 20))
    const wait = base / 2 + (Math.random() * base) / 2
    try {
      await delay(wait, undefined, { signal: this.#closing.signal })
    } catch {
      // Closing: whoever waits looks at the signal.
    }
  }
}
