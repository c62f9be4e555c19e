import { setTimeout as delay } from 'node:timers/promises'
import type { RedisClient } from './options.ts'

export interface RedisLinkOptions {
  /** Returns a client that isn't connected yet and doesn't reconnect. */
  create(): RedisClient
  /** Prepares a connected client for use, or throws. */
  prepare(client: RedisClient): Promise<void>
  /** The client is in use from now on. Called in the same turn in which the link's `client` changes. */
  adopt(client: RedisClient): void
  /** No client is in use any more, or the first attempt has failed. Called once until the next `adopt`. */
  lost(error: unknown): void
  /** An attempt to make a client has failed. There will be another attempt. */
  failed(error: unknown): void
  /** True for an error that another attempt does not fix. Only used until the first `adopt`. */
  isFatal(error: unknown): boolean
  /** Maximum milliseconds of one attempt. */
  readonly attemptTimeout: number
  readonly reconnectDelay: readonly [first: number, max: number]
}

/**
 * Keeps one usable client of Redis. It makes and prepares a client, and makes the next one if the client ends or must
 * be replaced. A client that must be replaced stays in use until its successor is ready.
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

  /** The client in use, if there is one. */
  get client(): RedisClient | undefined {
    return this.#client
  }

  /** Resolves when the first client is usable, or on `close`. Rejects with a fatal error. */
  async start(): Promise<void> {
    await this.#connect(true)
  }

  /** Makes another client. The current client stays in use until the new one is ready. */
  replace(): void {
    this.#connecting ??= this.#reconnect()
  }

  /** Ends the client at once, and makes another. Does nothing if the client is no longer in use. */
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

  async #connect(isFirst: boolean): Promise<void> {
    for (let tries = 0; !this.#closing.signal.aborted; tries++) {
      const { client, error } = await this.#try()
      // If the link was closed while the client became ready, nothing else ends the client.
      if (client) return this.#closing.signal.aborted ? client.disconnect() : this.#adopt(client)
      if (isFirst && this.#options.isFatal(error)) throw error
      this.#drop(error)
      this.#options.failed(error)
      await this.#pause(tries)
    }
  }

  /** One attempt. The error is the first one that the client emitted: the error of its promise says less. */
  async #try(): Promise<{ client?: RedisClient; error?: unknown }> {
    const client = this.#options.create()
    this.#attempt = client
    let firstError: Error | undefined
    // The listener stays as long as the client exists: without a listener, ioredis writes errors to the console.
    client.on('error', (error) => {
      firstError ??= error
    })
    // A promise of the ioredis Cluster may never settle: connect() does not if the ready check fails.
    let timeout: NodeJS.Timeout | undefined
    const ended = new Promise<never>((_, reject) => {
      client.once('end', () => reject(new Error('Connection is closed.')))
      timeout = setTimeout(() => reject(new Error('Command timed out')), this.#options.attemptTimeout)
    })
    const error = await Promise.race([this.#open(client), ended]).catch((error: unknown) => firstError ?? error)
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
    const previous = this.#client
    this.#client = client
    this.#isLost = false
    client.once('end', () => this.abandon(client, new Error('Connection is closed.')))
    this.#options.adopt(client)
    previous?.disconnect()
  }

  #drop(error: unknown): void {
    if (this.#isLost) return
    this.#isLost = true
    this.#client?.disconnect()
    this.#client = undefined
    this.#options.lost(error)
  }

  async #pause(tries: number): Promise<void> {
    const [first, max] = this.#options.reconnectDelay
    const base = Math.min(max, first * 2 ** Math.min(tries, 20))
    const wait = base / 2 + (Math.random() * base) / 2
    try {
      await delay(wait, undefined, { signal: this.#closing.signal })
    } catch {
      // The link is closing: the caller checks the signal.
    }
  }
}
