import { InvalidArgumentError } from '../errors.ts'
import type { Position } from '../protocol/position.ts'

export interface PublishResult extends Position {}

/** A socket, or the id of a connection. */
export type ExceptedConnection = string | { readonly id: string }

export interface PublishOptions {
  /** Two publishes with one key on one channel add one publication; 1 to 255 bytes. */
  idempotencyKey?: string | undefined
  /**
   * The connection that is not given the publication, on whichever node it is: a socket, or a connection's id. It is not
   * given it later either, by a recovery. `history` shows the publication to all. A client that reconnects has a new
   * connection.
   * @default everybody is given it
   */
  except?: ExceptedConnection | undefined
}

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
