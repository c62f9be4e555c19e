import { InvalidIdempotencyKeyError } from '../errors.ts'

const MAX_BYTES = 255
// UTF-8 can't carry lone surrogates: two keys would become one.
const LONE_SURROGATE = /\p{Cs}/u

/**
 * The key of a publish, as given; undefined for none. Throws `FST_RT_INVALID_IDEMPOTENCY_KEY` for what is no string of
 * 1 to 255 bytes of UTF-8: the brokers would take null or an object for a key like any other, and every publish after
 * the first for a repetition.
 */
export function checkIdempotencyKey(key: unknown): string | undefined {
  if (key === undefined) return undefined
  const isKey = typeof key === 'string' && key !== '' && Buffer.byteLength(key) <= MAX_BYTES
  if (!isKey || LONE_SURROGATE.test(key)) throw new InvalidIdempotencyKeyError()
  return key
}
