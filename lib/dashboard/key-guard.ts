import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { TooManyGuessesError, UnauthorizedError } from '../errors.ts'
import { addressKey } from '../handshake/address.ts'
import { TokenBucket } from '../timing/token-bucket.ts'

// Wrong keys of one address: ten at once, and then one every six seconds.
const GUESSES = { rate: 1 / 6, burst: 10 }
// Addresses that have sent a wrong key. Beyond this number the one that was seen first is forgotten.
const MAX_ADDRESSES = 1_000
const BEARER = /^bearer +(\S+)$/i

/** Compares the key of a request, `Authorization: Bearer <key>`, and limits how often an address may guess. */
export class KeyGuard {
  readonly #digest: Buffer
  readonly #now: () => number
  readonly #guesses = new Map<string, TokenBucket>()

  /** @param now Milliseconds. */
  constructor(key: string, now: () => number = () => performance.now()) {
    this.#digest = digestOf(key)
    this.#now = now
  }

  /** Throws if the request does not have the key, or if its address has sent too many wrong ones. */
  check({ authorization }: IncomingHttpHeaders, address: string): void {
    const place = addressKey(address)
    const now = this.#now()
    const [, given] = BEARER.exec(authorization ?? '') ?? []
    if (given === undefined) throw new UnauthorizedError()
    const bucket = this.#guesses.get(place)
    if (bucket !== undefined && bucket.debt(now) > 0) throw new TooManyGuessesError()
    // The time that it takes does not depend on how much of the keys is the same.
    if (timingSafeEqual(digestOf(given), this.#digest)) return
    this.#bucketOf(place, now).reserve(now)
    throw new UnauthorizedError()
  }

  #bucketOf(place: string, now: number): TokenBucket {
    const known = this.#guesses.get(place)
    if (known !== undefined) return known
    const [oldest] = this.#guesses.keys()
    if (this.#guesses.size >= MAX_ADDRESSES) this.#guesses.delete(oldest as string)
    const bucket = new TokenBucket(GUESSES, now)
    this.#guesses.set(place, bucket)
    return bucket
  }
}

function digestOf(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
