import { hash } from 'node:crypto'
import { ConflictError } from '../errors.ts'
import type { PublishResult } from './broker.ts'

interface Remembered {
  readonly digest: string
  readonly result: PublishResult
  readonly expiresAt: number
}

/**
 * What a `MemoryBroker` answered to publishes with an idempotency key. Holds at most `limit` answers; the oldest gives
 * way, so a retry that comes after that many other publishes adds a second time.
 */
export class MemoryIdempotency {
  readonly #answers = new Map<string, Remembered>()
  readonly #limit: number

  constructor(limit: number) {
    this.#limit = limit
  }

  get size(): number {
    return this.#answers.size
  }

  /** The answer given before, as a duplicate. Throws `ConflictError` where the key came with other data. */
  recall(channel: string, key: string, data: Buffer, now: number): PublishResult | undefined {
    const found = this.#answers.get(place(channel, key))
    if (!found || found.expiresAt <= now) return undefined
    if (found.digest !== digestOf(data)) throw new ConflictError()
    return { ...found.result, duplicate: true }
  }

  remember(channel: string, key: string, data: Buffer, result: PublishResult, expiresAt: number): void {
    const at = place(channel, key)
    this.#answers.delete(at)
    this.#answers.set(at, { digest: digestOf(data), result, expiresAt })
    if (this.#answers.size > this.#limit) this.#answers.delete(this.#answers.keys().next().value as string)
  }

  /** Looks at the `budget` oldest answers. */
  sweep(now: number, budget: number): void {
    for (const [at, { expiresAt }] of this.#answers) {
      if (budget-- === 0) return
      if (expiresAt <= now) this.#answers.delete(at)
    }
  }
}

// A channel name has no control characters, so the first newline ends it.
function place(channel: string, key: string): string {
  return `${channel}\n${key}`
}

function digestOf(data: Buffer): string {
  return hash('sha1', data, 'base64')
}
