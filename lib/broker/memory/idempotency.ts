import { hash } from 'node:crypto'
import { ConflictError } from '../../errors.ts'
import type { Published } from '../broker.ts'

interface Remembered {
  readonly digest: string
  readonly result: Published
  readonly expiresAt: number
}

// Bytes that Node takes for an answer beside its key, as measured on Node 20.
const ANSWER_COST = 400
// Answers whose time is over that make room for a new one: more than one, so that there are soon none.
const DROPPED_AT_ONCE = 4

/**
 * What a `MemoryBroker` answered to publishes with an idempotency key. None is forgotten before its time: it would be
 * published a second time. Who publishes looks at `bytes` first, and refuses where there is no room for another.
 */
export class MemoryIdempotency {
  readonly #answers = new Map<string, Remembered>()
  #bytes = 0

  get size(): number {
    return this.#answers.size
  }

  /** Bytes of memory that the answers take, as far as that can be counted. */
  get bytes(): number {
    return this.#bytes
  }

  /** The answer given before, as a duplicate. Throws `ConflictError` where the key came with other data. */
  recall(channel: string, key: string, data: Buffer, now: number): Published | undefined {
    const found = this.#answers.get(place(channel, key))
    if (!found || found.expiresAt <= now) return undefined
    if (found.digest !== digestOf(data)) throw new ConflictError()
    return { ...found.result, duplicate: true }
  }

  remember(channel: string, key: string, data: Buffer, result: Published, expiresAt: number): void {
    const at = place(channel, key)
    this.#forget(at)
    this.#answers.set(at, { digest: digestOf(data), result, expiresAt })
    this.#bytes += costOf(at)
  }

  /** Drops the oldest answers whose time is over: a few, at each publish. */
  makeRoom(now: number): void {
    this.sweep(now, DROPPED_AT_ONCE)
  }

  /** Looks at the `budget` oldest answers. */
  sweep(now: number, budget: number): void {
    for (const [at, { expiresAt }] of this.#answers) {
      if (budget-- === 0) return
      if (expiresAt <= now) this.#forget(at)
    }
  }

  #forget(at: string): void {
    if (this.#answers.delete(at)) this.#bytes -= costOf(at)
  }
}

// A channel name has no control characters, so the first newline ends it.
function place(channel: string, key: string): string {
  return `${channel}\n${key}`
}

function costOf(at: string): number {
  return ANSWER_COST + 2 * at.length
}

function digestOf(data: Buffer): string {
  return hash('sha1', data, 'base64')
}
