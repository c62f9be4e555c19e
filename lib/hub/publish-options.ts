import { InvalidArgumentError } from '../errors.ts'
import type { Position } from '../protocol/position.ts'

export interface PublishResult extends Position {}

/** A socket, or the id of a connection. */
export type ExceptedConnection = string | { readonly id: string }

export interface PublishOptions {
  /** Two publishes with one key on one channel add one publication; 1 to 255 bytes. */
  idempotencyKey?: string | undefined
  /**
   * The connection that does not receive the publication: a socket, or a connection's id. The connection may be on any
   * node. A recovery does not deliver the publication to it either. `history` returns it to all clients. A client that
   * reconnects has a new connection.
   * @default all subscribers receive it
   */
  except?: ExceptedConnection | undefined
}

const CONNECTION_ID = /^[\w-]{1,64}$/
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

/**
 * The id of the connection that does not receive a publication. Undefined if there is none. Throws
 * `FST_RT_INVALID_ARGUMENT` for an id that no connection can have: otherwise the publication would reach the connection
 * that was meant.
 */
export function exceptedId(except: ExceptedConnection | undefined): string | undefined {
  if (except === undefined) return undefined
  const id: unknown = typeof except === 'object' && except !== null ? except.id : except
  if (typeof id !== 'string' || !CONNECTION_ID.test(id)) {
    throw new InvalidArgumentError('except', "give a socket, or a connection's id")
  }
  return id
}
