import { hash } from 'node:crypto'
import { ConflictError } from '../../errors.ts'
import type { Published } from '../broker.ts'

interface Remembered {
  readonly digest: string
  readonly result: Published
  readonly expiresAt: number
}

// Bytes that Node takes for an answer in addition to its key, as measured on Node 20.
const ANSWER_COST = 400
// Maximum number of expired answers that one publish drops. More than one, so that expired answers do not accumulate.
const DROPPED_AT_ONCE = 4

/**
 * The answers of a `MemoryBroker` to publishes with an idempotency key. No answer is dropped before it expires, because
 * a retry would then be published a second time. The broker checks `bytes` before it publishes, and refuses the publish
 * if there is no room for another answer.
 */
export class MemoryIdempotency {
  readonly #answers = new Map<string, Remembered>()
  #bytes = 0

  get size(): number {
    return this.#answers.size
  }

  /** Estimated bytes of memory that the answers take. */
  get bytes(): number {
    return this.#bytes
  }

  /** The previous answer, marked as a duplicate. Throws `ConflictError` if the key was used with other data. */
  recall(channel: string, key: string, data: Buffer, now: number): Published | undefined {
    const found = this.#answers.get(storageKey(channel, key))
    if (!found || found.expiresAt <= now) return undefined
    if (found.digest !== digestOf(data)) throw new ConflictError()
    return { ...found.result, duplicate: true }
  }

  remember(channel: string, key: string, data: Buffer, result: Published, expiresAt: number): void {
    const stored = storageKey(channel, key)
    this.#forget(stored)
    this.#answers.set(stored, { digest: digestOf(data), result, expiresAt })
    this.#bytes += costOf(stored)
  }

  /** Drops a few of the oldest answers, if they have expired. Called at each publish. */
  makeRoom(now: number): void {
    this.sweep(now, DROPPED_AT_ONCE)
  }

  /** Checks the `budget` oldest answers, and drops those that have expired. */
  sweep(now: number, budget: number): void {
    for (const [stored, { expiresAt }] of this.#answers) {
      if (budget-- === 0) return
      if (expiresAt <= now) this.#forget(stored)
    }
  }

  #forget(stored: string): void {
    if (this.#answers.delete(stored)) this.#bytes -= costOf(stored)
  }
}

// A channel name has no control characters, so the first newline ends it.
function storageKey(channel: string, key: string): string {
  return `${channel}\n${key}`
}

function costOf(stored: string): number {
  return ANSWER_COST + 2 * stored.length
}

function digestOf(data: Buffer): string {
  return hash('sha1', data, 'base64')
}
