import { setTimeout as delay } from 'node:timers/promises'
import type { Cluster, Redis } from 'ioredis'
import { UnavailableError } from '../../errors.ts'
import { isLate, RedisDeadlines } from './deadlines.ts'
import { callerError, errorWord, fatalError } from './errors.ts'
import { RedisLink, type RedisLinkOptions } from './link.ts'
import type { RedisClient } from './options.ts'
import type { ScriptedClient } from './scripts.ts'

export interface RedisCommandsOptions extends RedisLinkOptions {
  readonly isCluster: boolean
  /** Milliseconds that the server may be silent while commands wait. */
  readonly commandTimeout: number
  /** Commands that wait for their answer. Past it, calls reject as unavailable. */
  readonly maxPending: number
  /** The server is no master any more. */
  demoted(): void
}

/** One connection that takes commands. Those of one turn of the event loop leave in one write. */
export class RedisCommands {
  readonly #options: RedisCommandsOptions
  readonly #link: RedisLink
  readonly #deadlines: RedisDeadlines
  /** Why Redis turned the latest attempt to connect away, if a second attempt does not help. */
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

  /** The client in use, where there is one. */
  get client(): RedisClient | undefined {
    return this.#link.client
  }

  start(): Promise<void> {
    return this.#link.start()
  }

  replace(): void {
    this.#link.replace()
  }

  /** `writes`: without an answer, the command may have been done. */
  run<Reply>(writes: boolean, command: (client: ScriptedClient) => Promise<Reply>): Promise<Reply> {
    const client = this.#link.client
    if (!client) return Promise.reject(this.#unavailable())
    if (this.#deadlines.waiting >= this.#options.maxPending) return Promise.reject(new UnavailableError())
    this.#cork(client)
    return this.#deadlines.within(command(client as ScriptedClient), (error) => {
      this.#refused(client, error)
      return callerError(error, writes)
    })
  }

  /** Waits for what was sent, so many milliseconds at most. */
  async close(timeout: number): Promise<void> {
    this.#uncork()
    const waiting = new AbortController()
    const late = delay(timeout, undefined, { signal: waiting.signal }).catch(() => {})
    await Promise.race([this.#deadlines.idle(), late])
    waiting.abort()
    this.#link.close()
  }

  #unavailable(): Error {
    return this.#refusal === undefined ? new UnavailableError() : new UnavailableError({ cause: this.#refusal })
  }

  #refused(client: RedisClient, error: unknown): void {
    // A server that has stopped answering is left: what is sent to it would only pile up.
    if (isLate(error) && !client.isCluster) this.#link.abandon(client, error)
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
 * What has come in on the one connection of a client. The connections to the servers of a cluster say nothing of each
 * other; there ioredis ends a connection that is silent (`socketTimeout`).
 */
export function bytesRead(client: RedisClient | undefined): number {
  if (client === undefined || client.isCluster) return 0
  return ((client as Redis).stream as { bytesRead?: number } | undefined)?.bytesRead ?? 0
}
