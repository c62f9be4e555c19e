import { InvalidArgumentError, InvalidChannelError } from '../errors.ts'
import { type Bounds, boundsFault } from '../input/bounds.ts'
import { isChannelName } from '../protocol/channel-name.ts'
import type { Position } from '../protocol/position.ts'
import { type FilterNode, isFilter } from '../protocol/tags-filter.ts'
import { isCursor } from './roster.ts'
import { MAX_CONNECTIONS } from './roster-message.ts'

/**
 * Selects connections: all connections of a user (`sub`), one connection by its id, or all that are subscribed to a
 * channel. If you give several of these, a connection must match all of them.
 */
export interface Target {
  user?: string
  connection?: string
  channel?: string
}

export interface SubscriptionOptions {
  /**
   * The clients receive only publications whose tags pass this filter, at most 8,192 bytes as JSON.
   * @default the clients receive all publications
   */
  filter?: FilterNode | undefined
}

export interface DisconnectOptions {
  /**
   * The close code: 1000, or 3000 to 4999.
   * @default 4403
   */
  code?: number | undefined
  /**
   * The close reason: at most 123 bytes of UTF-8. The rest is cut off.
   * @default 'forbidden'
   */
  reason?: string | undefined
}

export interface ConnectionsOptions {
  /** Returns the connections of all nodes, page by page. */
  cluster: true
  /**
   * Maximum number of connections on a page, 1 to 1,000. A page that is not the last may have fewer.
   * @default 100
   */
  limit?: number | undefined
  /** The beginning of the page: the `cursor` of the page before. */
  cursor?: string | undefined
}

export interface HistoryOptions {
  /**
   * Maximum number of publications, 0 to 100,000. With 0 you get the position only.
   * @default 100
   */
  limit?: number | undefined
  /** Only publications after this position (with `reverse`, before it). Compare its epoch with that of the result. */
  since?: Position | undefined
  /**
   * Returns the newest publication first.
   * @default false
   */
  reverse?: boolean | undefined
}

/*
 * The arguments of `app.realtime` are checked before anything else is done. Otherwise a mistake would fail on every
 * node, where no caller waits for the error, or each broker would handle it differently.
 */

// Half of what a request between nodes may have.
const MAX_FILTER_BYTES = 8_192
// A channel's history has at most so many publications.
const LIMIT: Bounds = [0, 100_000]
const OFFSET: Bounds = [0, Number.MAX_SAFE_INTEGER]

/** Throws `FST_RT_INVALID_CHANNEL`. */
export function checkChannel(channel: string): void {
  if (!isChannelName(channel)) throw new InvalidChannelError()
}

/** Throws `FST_RT_INVALID_ARGUMENT`, as do the functions below. */
export function checkTarget(target: Target): void {
  checkNames('target', target, ['user', 'connection', 'channel'])
  const given = [target.user, target.connection, target.channel].filter((value) => value !== undefined)
  // An empty target would match no connection, and the user who should be disconnected would stay connected.
  if (given.length === 0 || !given.every((value) => typeof value === 'string')) {
    throw new InvalidArgumentError('target', 'give user, connection, channel or several of them, as strings')
  }
  if (target.channel !== undefined) checkChannel(target.channel)
}

/** The check of `subscribe`'s options. */
export function checkSubscribe(options: SubscriptionOptions): void {
  checkNames('options', options, ['filter'])
  const { filter } = options
  if (filter === undefined) return
  // A larger request would not be read by the nodes.
  if (!isFilter(filter) || Buffer.byteLength(JSON.stringify(filter)) > MAX_FILTER_BYTES) {
    throw new InvalidArgumentError('filter', `give a filter by tags, of at most ${MAX_FILTER_BYTES} bytes as JSON`)
  }
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
  // Without `cluster` the result would have another form: the list of this node's connections.
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

/** Refuses unknown names: a target with a misspelt `connection` would match all connections of its user. */
function checkNames(argument: string, value: unknown, names: readonly string[]): void {
  const isKnown = (name: string) => names.includes(name)
  if (typeof value === 'object' && value !== null && Object.keys(value).every(isKnown)) return
  throw new InvalidArgumentError(argument, `give an object of ${names.join(', ')}`)
}
