import { InvalidArgumentError } from '../errors.ts'
import type { Position } from '../protocol/position.ts'
import { MAX_TAGS, type Tags, tagsOf } from '../protocol/tags.ts'

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
  /**
   * Texts that describe the publication: at most 16, with names of 1 to 64 bytes and values of at most 256 bytes. Clients
   * of the channel protocol receive them, and can filter by them if the channel has the option `filters`.
   * @default none
   */
  tags?: Readonly<Record<string, string>> | undefined
}

const CONNECTION_ID = /^[\w-]{1,64}$/
const NAMES = new Set(['idempotencyKey', 'except', 'tags'])

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

/** Checks the tags of a publication. Undefined if there are none. Throws `FST_RT_INVALID_ARGUMENT`. */
export function checkedTags(tags: PublishOptions['tags']): Tags | undefined {
  if (tags === undefined) return undefined
  const checked = tagsOf(tags)
  if (checked !== undefined) return checked.size === 0 ? undefined : checked
  const { count, keyBytes, valueBytes } = MAX_TAGS
  const fix = `give an object of at most ${count} texts of at most ${valueBytes} bytes, with names of 1 to ${keyBytes} bytes`
  throw new InvalidArgumentError('tags', fix)
}
