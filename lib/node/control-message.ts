import { isChannelName } from '../protocol/channel-name.ts'
import { truncateReason } from '../protocol/close-codes.ts'
import { type FilterNode, isFilter } from '../protocol/tags-filter.ts'

/*
 * Requests of one node to all nodes, in the form in which they are sent on the control channel: one JSON object each.
 *
 *   { "v": 1, "node": …, "id": …, "target": { "user"?: …, "connection"?: … }, … }
 *   { "v": 2, …, "target": { …, "channel": … }, … }                 of these connections, the subscribers of a channel
 *   { …, "do": "disconnect", "code": …, "reason": … }
 *   { …, "do": "subscribe" | "unsubscribe", "channel": … }
 *   { "v": 3, …, "do": "subscribe", "channel": …, "filter": … }     the subscription has a filter by tags
 *   { …, "do": "refresh", "expiresAt": … }
 *
 * A node ignores members that it does not know, and drops messages of a version that it does not know. So a request
 * gets a new version if an older node would misread the request or its target.
 */

const VERSION = 1
/** The version of a request whose target has a channel. */
const CHANNEL_VERSION = 2
/** The version of a subscription with a filter: without it, clients would receive what they may not see. */
const FILTER_VERSION = 3
const MAX_BYTES = 16_384
const MAX_USER = 1_024
const MAX_REASON_BYTES = 123
const ID = /^[\w-]{1,64}$/

/**
 * The connections that a request is for: all connections of a user, or one connection. With `channel`, only those that
 * are subscribed to it.
 */
export interface ControlTarget {
  readonly user?: string
  readonly connection?: string
  readonly channel?: string
}

export type ControlRequest = { readonly target: ControlTarget } & (
  | { readonly do: 'disconnect'; readonly code: number; readonly reason: string }
  | { readonly do: 'subscribe'; readonly channel: string; readonly filter?: FilterNode }
  | { readonly do: 'unsubscribe'; readonly channel: string }
  | { readonly do: 'refresh'; readonly expiresAt: number }
)

/** A request, the id of the node that makes it, and an id that no other request has. */
export interface ControlMessage {
  readonly node: string
  readonly id: string
  readonly request: ControlRequest
}

export function writeControlMessage({ node, id, request }: ControlMessage): Buffer {
  const cut = request.do === 'disconnect' ? { ...request, reason: truncateReason(request.reason) } : request
  return Buffer.from(JSON.stringify({ v: versionOf(request), node, id, ...cut }))
}

/** Reads a message. Returns `undefined` if it is malformed, too large, of another version, or an unknown request. */
export function readControlMessage(data: Buffer): ControlMessage | undefined {
  if (data.length > MAX_BYTES) return undefined
  const fields = parseObject(data.toString())
  const { v, node, id } = fields
  const target = readTarget(fields.target)
  if (!isId(node) || !isId(id) || target === undefined) return undefined
  const request = readRequest(target, fields)
  return request === undefined || v !== versionOf(request) ? undefined : { node, id, request }
}

function readRequest(target: ControlTarget, fields: Record<string, unknown>): ControlRequest | undefined {
  const { do: name, code, reason, channel, expiresAt, filter } = fields
  switch (name) {
    case 'disconnect':
      return isCloseCode(code) && isReason(reason) ? { target, do: name, code, reason } : undefined
    case 'subscribe':
      if (!isChannelName(channel)) return undefined
      if (filter === undefined) return { target, do: name, channel }
      return isFilter(filter) ? { target, do: name, channel, filter } : undefined
    case 'unsubscribe':
      return isChannelName(channel) ? { target, do: name, channel } : undefined
    case 'refresh':
      return isTime(expiresAt) ? { target, do: name, expiresAt } : undefined
  }
}

function readTarget(value: unknown): ControlTarget | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { user, connection, channel } = value as Record<string, unknown>
  if (user !== undefined && !(typeof user === 'string' && user.length <= MAX_USER)) return undefined
  if (connection !== undefined && !isId(connection)) return undefined
  if (channel !== undefined && !isChannelName(channel)) return undefined
  if (user === undefined && connection === undefined && channel === undefined) return undefined
  return {
    ...(user !== undefined && { user }),
    ...(connection !== undefined && { connection }),
    ...(channel !== undefined && { channel })
  }
}

function versionOf(request: ControlRequest): number {
  if (request.do === 'subscribe' && request.filter !== undefined) return FILTER_VERSION
  return request.target.channel === undefined ? VERSION : CHANNEL_VERSION
}

function parseObject(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  } catch {
    return {} // it is not JSON: without a version, the caller rejects it
  }
}

function isId(value: unknown): value is string {
  return typeof value === 'string' && ID.test(value)
}

function isCloseCode(value: unknown): value is number {
  return Number.isInteger(value) && (value === 1000 || ((value as number) >= 3000 && (value as number) <= 4999))
}

function isReason(value: unknown): value is string {
  return typeof value === 'string' && Buffer.byteLength(value) <= MAX_REASON_BYTES
}

function isTime(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value)
}
