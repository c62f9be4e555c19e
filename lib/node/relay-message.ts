import type { Delivery } from '../http/http-sessions.ts'
import type { Letter } from '../http/mailbox.ts'
import { isId } from './roster-message.ts'

/*
 * The commands of a client that reached another node than the one that holds its session, and the answer: one JSON
 * object each, on the channels of the two nodes.
 *
 *   {"relay":1,"id":…,"from":…,"session":…,"text":…}      from: the node that got the commands
 *   {"relay":1,"id":…,"from":…,"session":…,"bytes":…}     the same for commands that are bytes, in base64
 *   {"relay":1,"id":…,"result":…}                         id: that of the commands
 */

const VERSION = 1
// Other messages on these channels begin otherwise.
const START = Buffer.from('{"relay":')
const MAX_BYTES = 65_536
// JSON writes a control character as six characters.
const MAX_MESSAGE = 8 * MAX_BYTES
const MAX_SESSION = 128
const RESULTS: readonly Delivery[] = ['delivered', 'unknown', 'full']

export interface RelayedCommands extends Letter {
  readonly id: string
  readonly from: string
  readonly session: string
}

export type RelayMessage = { readonly commands: RelayedCommands } | { readonly id: string; readonly result: Delivery }

export function writeCommands({ id, from, session, data, isBinary }: RelayedCommands): Buffer {
  const payload = isBinary ? { bytes: data.toString('base64') } : { text: data.toString() }
  return Buffer.from(JSON.stringify({ relay: VERSION, id, from, session, ...payload }))
}

export function writeDelivery(id: string, result: Delivery): Buffer {
  return Buffer.from(JSON.stringify({ relay: VERSION, id, result }))
}

/** True if a message on a node's channel is one of these, valid or not. */
export function isRelayMessage(data: Buffer): boolean {
  return data.subarray(0, START.length).equals(START)
}

/** Reads a message. Returns `undefined` if it is malformed, too large or of another version. */
export function readRelayMessage(data: Buffer): RelayMessage | undefined {
  if (data.length > MAX_MESSAGE) return undefined
  const { relay, id, from, session, text, bytes, result } = parse(data)
  if (relay !== VERSION || !isId(id)) return undefined
  if (isDelivery(result)) return { id, result }
  if (!isId(from) || typeof session !== 'string' || session.length > MAX_SESSION) return undefined
  const isBinary = typeof bytes === 'string'
  const payload = isBinary ? Buffer.from(bytes, 'base64') : typeof text === 'string' ? Buffer.from(text) : undefined
  if (payload === undefined || payload.length > MAX_BYTES) return undefined
  return { commands: { id, from, session, data: payload, isBinary } }
}

function isDelivery(value: unknown): value is Delivery {
  return RESULTS.includes(value as Delivery)
}

function parse(data: Buffer): Record<string, unknown> {
  try {
    // It begins with a brace, so it is an object.
    return JSON.parse(data.toString()) as Record<string, unknown>
  } catch {
    return {} // it is not JSON: without a version, the caller rejects it
  }
}
