import { isChannelName } from '../protocol/channel-name.ts'
import { truncateReason } from '../protocol/close-codes.ts'

/*
 * Requests that one node makes of all, as they go over the control channel: one JSON object each.
 *
 *   { "v": 1, "node": …, "id": …, "target": { "user"?: …, "connection"?: … }, "do": "disconnect", "code": …, "reason": … }
 *   { "v": 2, …, "target": { …, "channel": … }, … }                  those of them that are subscribed to a channel
 *   { …, "do": "subscribe" | "unsubscribe", "channel": … }
 *   { …, "do": "refresh", "expiresAt": … }
 *
 * Members that a reader does not know are ignored. A request that an older node would misread, or whose target it does
 * not know, gets a new version: a node drops what is of a version that it does not know.
 */

const VERSION = 1
/** Of a request whose target names a channel. */
const CHANNEL_VERSION = 2
const MAX_BYTES = 16_384
const MAX_USER = 1_024
const MAX_REASON_BYTES = 123
const ID = /^[\w-]{1,64}$/

/** Whose connections are meant: all of a user, or one; with `channel`, those of them that are subscribed to it. */
export interface ControlTarget {
  readonly user?: string
  readonly connection?: string
  readonly channel?: string
}

export type ControlRequest = { readonly target: ControlTarget } & (
  | { readonly do: 'disconnect'; readonly code: number; readonly reason: string }
  | { readonly do: 'subscribe' | 'unsubscribe'; readonly channel: string }
  | { readonly do: 'refresh'; readonly expiresAt: number }
)

/** A request, which node makes it, and an id that no other request has. */
export interface ControlMessage {
  readonly node: string
  readonly id: string
  readonly request: ControlRequest
}

export function writeControlMessage({ node, id, request }: ControlMessage): Buffer {
  const cut = request.do === 'disconnect' ? { ...request, reason: truncateReason(request.reason) } : request
  return Buffer.from(JSON.stringify({ v: versionOf(request.target), node, id, ...cut }))
}

/** Reads a message. `undefined` if it is malformed, too large, of another version, or asks for something unknown. */
export function readControlMessage(data: Buffer): ControlMessage | undefined {
  if (data.length > MAX_BYTES) return undefined
  const fields = parseObject(data.toString())
  const { v, node, id } = fields
  const target = readTarget(fields.target)
  if (!isId(node) || !isId(id) || target === undefined || v !== versionOf(target)) return undefined
  const request = readRequest(target, fields)
  return request && { node, id, request }
}

function readRequest(target: ControlTarget, fields: Record<string, unknown>): ControlRequest | undefined {
  const { do: name, code, reason, channel, expiresAt } = fields
  switch (name) {
    case 'disconnect':
      return isCloseCode(code) && isReason(reason) ? { target, do: name, code, reason } : undefined
    case 'subscribe':
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

function versionOf({ channel }: ControlTarget): number {
  return channel === undefined ? VERSION : CHANNEL_VERSION
}

function parseObject(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  } catch {
    return {} // that it is no JSON is the answer: it has no version either
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
