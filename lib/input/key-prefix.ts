import { InvalidOptionError } from '../errors.ts'

const PREFIX = /^[\w.-]{1,64}$/

/** Throws `FST_RT_INVALID_OPTION` unless the prefix is 1 to 64 letters, digits, and any of `_ . -`. */
export function assertPrefix(prefix: unknown): asserts prefix is string {
  if (typeof prefix === 'string' && PREFIX.test(prefix)) return
  throw new InvalidOptionError('prefix', 'use 1 to 64 of A-Z a-z 0-9 _ . -')
}
