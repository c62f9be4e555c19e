import type { PublishOptions } from '../connection/context.ts'
import { InvalidArgumentError } from '../errors.ts'

const NAMES = new Set(['idempotencyKey', 'except'])

/**
 * Throws `FST_RT_INVALID_ARGUMENT` for an option that does not exist: with `exept` a publication would reach the
 * connection that was to be left out.
 */
export function checkPublishOptions(options: PublishOptions): void {
  const isObject = typeof options === 'object' && options !== null
  if (isObject && Object.keys(options).every((name) => NAMES.has(name))) return
  throw new InvalidArgumentError('options', `give an object of ${[...NAMES].join(', ')}`)
}
