import { InvalidArgumentError } from '../errors.ts'
import type { ExceptedConnection } from './publish-options.ts'

const ID = /^[\w-]{1,64}$/

/**
 * The id of the connection that does not receive a publication. Undefined if there is none. Throws
 * `FST_RT_INVALID_ARGUMENT` for an id that no connection can have: otherwise the publication would reach the connection
 * that was meant.
 */
export function exceptedId(except: ExceptedConnection | undefined): string | undefined {
  if (except === undefined) return undefined
  const id: unknown = typeof except === 'object' && except !== null ? except.id : except
  if (typeof id !== 'string' || !ID.test(id)) {
    throw new InvalidArgumentError('except', "give a socket, or a connection's id")
  }
  return id
}
