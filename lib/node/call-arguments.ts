import { InvalidArgumentError, InvalidChannelError } from '../errors.ts'
import { type Bounds, boundsFault } from '../input/bounds.ts'
import { isChannelName } from '../protocol/channel-name.ts'
import type { Position } from '../protocol/position.ts'
import { isCursor } from './roster.ts'
import { MAX_CONNECTIONS } from './roster-message.ts'

/**
 * Whose connections are meant: all of a user (`sub`), one by its id, or all that are subscribed to a channel. If several
 * are given, those to which all of it applies.
 */
export interface Target {
  user?: string
  connection?: string
  channel?: string
}

export interface DisconnectOptions {
  /**
   * 1000, or 3000 to 4999.
   * @default 4403
   */
  code?: number | undefined
  /**
   * At most 123 bytes of UTF-8; the rest is cut.
   * @default 'forbidden'
   */
  reason?: string | undefined
}

export interface ConnectionsOptions {
  /** The connections of all nodes, page by page. */
  cluster: true
  /**
   * At most so many connections, 1 to 1,000. A page may have fewer though it is not the last.
   * @default 100
   */
  limit?: number | undefined
  /** Where the page begins: the `cursor` of the page before. */
  cursor?: string | undefined
}

export interface HistoryOptions {
  /**
   * At most so many publications, 0 to 100,000; 0 for the position alone.
   * @default 100
   */
  limit?: number | undefined
  /** Only what came after it (before it, with `reverse`). Compare the epoch of what you get. */
  since?: Position | undefined
  /**
   * The newest first.
   * @default false
   */
  reverse?: boolean | undefined
}

/*
 * The arguments of `app.realtime`, checked before anything is done: a mistake would else be met where nobody waits for
 * it, on every node, or be answered by each broker in its own way.
 */

// The most that is kept of a channel.
const LIMIT: Bounds = [0, 100_000]
const OFFSET: Bounds = [0, Number.MAX_SAFE_INTEGER]

/** Throws `FST_RT_INVALID_CHANNEL`. */
export function checkChannel(channel: string): void {
  if (!isChannelName(channel)) throw new InvalidChannelError()
}

/** Throws `FST_RT_INVALID_ARGUMENT`, as all that follow. */
export function checkTarget(target: Target): void {
  checkNames('target', target, ['user', 'connection', 'channel'])
  const given = [target.user, target.connection, target.channel].filter((value) => value !== undefined)
  // For none in particular nothing would happen, and whoever was to be disconnected would stay.
  if (given.length === 0 || !given.every((value) => typeof value === 'string')) {
    throw new InvalidArgumentError('target', 'give user, connection, channel or several of them, as strings')
  }
  if (target.channel !== undefined) checkChannel(target.channel)
}

export function checkDisconnect(options: DisconnectOptions): void {
  checkNames('options', options, ['code', 'reason'])
  const { code, reason } = options
  if (code !== undefined && code !== 1000 && boundsFault('code', code, [3_000, 4_999]) !== undefined) {
    throw new InvalidArgumentError('code', 'give 1000, or a whole number from 3000 to 4999')
  }
  if (reason !== undefined && typeof reason !== 'string') throw new InvalidArgumentError('reason', 'give a string')
}

export function checkExpiry(expiresAt: number): void {
  if (!Number.isFinite(expiresAt)) throw new InvalidArgumentError('expiresAt', 'give a number, of seconds since 1970')
}

export function checkHistory(options: HistoryOptions): void {
  checkNames('options', options, ['limit', 'since', 'reverse'])
  const { limit, since, reverse } = options
  checkBounds('limit', limit, LIMIT)
  if (reverse !== undefined && typeof reverse !== 'boolean') {
    throw new InvalidArgumentError('reverse', 'give true or false')
  }
  if (since === undefined) return
  if (typeof since !== 'object' || since === null || typeof since.epoch !== 'string') {
    throw new InvalidArgumentError('since', 'give an offset and an epoch')
  }
  checkBounds('since.offset', since.offset ?? null, OFFSET)
}

export function checkConnections(options: ConnectionsOptions): void {
  checkNames('options', options, ['cluster', 'limit', 'cursor'])
  const { cluster, limit, cursor } = options
  // Without it the answer would be another one: the list of this node.
  if (cluster !== true) throw new InvalidArgumentError('cluster', 'give true, or call it without options')
  checkBounds('limit', limit, [1, MAX_CONNECTIONS])
  if (cursor !== undefined && !(typeof cursor === 'string' && isCursor(cursor))) {
    throw new InvalidArgumentError('cursor', 'give the cursor of the page before')
  }
}

function checkBounds(name: string, value: unknown, bounds: Bounds): void {
  const fault = value === undefined ? undefined : boundsFault('it', value, bounds)
  if (fault !== undefined) throw new InvalidArgumentError(name, fault)
}

/** A name that is misspelt would be a default in silence: of two targets, all connections of the user. */
function checkNames(argument: string, value: unknown, names: readonly string[]): void {
  const isKnown = (name: string) => names.includes(name)
  if (typeof value === 'object' && value !== null && Object.keys(value).every(isKnown)) return
  throw new InvalidArgumentError(argument, `give an object of ${names.join(', ')}`)
}
