import { InvalidIdempotencyKeyError } from '../errors.ts'

const MAX_BYTES = 255
// UTF-8 can't represent lone surrogates: two different keys would become the same.
const LONE_SURROGATE = /\p{Cs}/u

/**
 * Returns the key of a publish unchanged, or undefined if there is none. Throws `FST_RT_INVALID_IDEMPOTENCY_KEY` unless
 * the key is a string of 1 to 255 bytes of UTF-8. A broker would use null or an object like any other key, and would
 * take every publish after the first for a duplicate.
 */
export function checkIdempotencyKey(key: unknown): string | undefined {
  if (key === undefined) return undefined
  const isKey = typeof key === 'string' && key !== '' && Buffer.byteLength(key) <= MAX_BYTES
  if (!isKey || LONE_SURROGATE.test(key)) throw new InvalidIdempotencyKeyError()
  return key
}
