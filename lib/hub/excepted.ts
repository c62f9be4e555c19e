import { InvalidArgumentError } from '../errors.ts'
import type { ExceptedConnection } from './publish-options.ts'

const ID = /^[\w-]{1,64}$/

/**
 * The id of the connection that is not given a publication; undefined for none. Throws `FST_RT_INVALID_ARGUMENT`: with
 * an id that no connection can have, the publication would reach the one that was meant.
 */
export function exceptedId(except: ExceptedConnection | undefined): string | undefined {
  if (except === undefined) return undefined
  const id: unknown = typeof except === 'object' && except !== null ? except.id : except
  if (typeof id !== 'string' || !ID.test(id)) {
    throw new InvalidArgumentError('except', "give a socket, or a connection's id")
  }
  return id
}
