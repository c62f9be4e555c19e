import { setTimeout as delay } from 'node:timers/promises'
import type { Cluster, Redis } from 'ioredis'
import { UnavailableError } from '../../errors.ts'
import { isTimeout, RedisDeadlines } from './deadlines.ts'
import { callerError, errorWord, fatalError } from './errors.ts'
import { RedisLink, type RedisLinkOptions } from './link.ts'
import type { RedisClient } from './options.ts'
import type { ScriptedClient } from './scripts.ts'

export interface RedisCommandsOptions extends RedisLinkOptions {
  readonly isCluster: boolean
  /** Milliseconds for which the server may be silent while commands wait. */
  readonly commandTimeout: number
  /** Maximum number of commands that wait for their answer. Further calls reject as unavailable. */
  readonly maxPending: number
  /** Returns true if the server of the key is connected. */
  isReachable(key: string): boolean
  /** The server is no longer a master. */
  demoted(): void
}

/** One connection for commands. The commands of one turn of the event loop are sent in one write. */
export class RedisCommands {
  readonly #options: RedisCommandsOptions
  readonly #link: RedisLink
  readonly #deadlines: RedisDeadlines
  /** Why Redis refused the latest attempt to connect, if another attempt does not help. */
  #refusal: Error | undefined
  #corked: Array<{ uncork(): void }> | undefined

  constructor(options: RedisCommandsOptions) {
    this.#options = options
    this.#link = new RedisLink({
      ...options,
      adopt: (client) => {
        this.#refusal = undefined
        options.adopt(client)
      },
      failed: (error) => {
        this.#refusal = fatalError(error)
        options.failed(error)
      }
    })
    this.#deadlines = new RedisDeadlines(options.commandTimeout, () => bytesRead(this.#link.client))
  }

  /** The client in use, if there is one. */
  get client(): RedisClient | undefined {
    return this.#link.client
  }

  start(): Promise<void> {
    return this.#link.start()
  }

  /** Makes another connection. The current one stays in use until the new one is ready. */
  replace(): void {
    this.#link.replace()
  }

  /** Ends the connection at once, if there is one, and makes another. */
  reconnect(): void {
    const { client } = this.#link
    if (client !== undefined) this.#link.abandon(client, new Error('Connection is closed.'))
  }

  /**
   * @param writes The command changes something. If it gets no answer, its outcome is unknown.
   * @param key A key or topic of the command, which determines its server.
   */
  run<Reply>(writes: boolean, command: (client: ScriptedClient) => Promise<Reply>, key?: string): Promise<Reply> {
    const client = this.#link.client
    if (!client) return Promise.reject(this.#unavailable())
    if (key !== undefined && !this.#options.isReachable(key)) return Promise.reject(new UnavailableError())
    if (this.#deadlines.waiting >= this.#options.maxPending) return Promise.reject(new UnavailableError())
    this.#cork(client)
    return this.#deadlines.within(command(client as ScriptedClient), (error) => {
      this.#handleError(client, error)
      return callerError(error, writes)
    })
  }

  /** Waits for the answers to sent commands, at most `timeout` milliseconds. */
  async close(timeout: number): Promise<void> {
    this.#uncork()
    const waiting = new AbortController()
    // The race handles the rejection of the delay when it is aborted.
    await Promise.race([this.#deadlines.idle(), delay(timeout, undefined, { signal: waiting.signal })])
    waiting.abort()
    this.#link.close()
  }

  #unavailable(): Error {
    return this.#refusal === undefined ? new UnavailableError() : new UnavailableError({ cause: this.#refusal })
  }

  #handleError(client: RedisClient, error: unknown): void {
    // The connection to a server that stopped answering is closed, or commands for it would only pile up.
    if (isTimeout(error) && !client.isCluster) this.#link.abandon(client, error)
    const word = errorWord(error)
    if ((word === 'READONLY' || word === 'NOT_MASTER') && client === this.#link.client) this.#options.demoted()
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
}

/**
 * Bytes received on the connection of a client. 0 for a cluster: it has several connections, and the bytes of one say
 * nothing about the others. There ioredis closes a silent connection (`socketTimeout`).
 */
export function bytesRead(client: RedisClient | undefined): number {
  if (client === undefined || client.isCluster) return 0
  return ((client as Redis).stream as { bytesRead?: number } | undefined)?.bytesRead ?? 0
}
