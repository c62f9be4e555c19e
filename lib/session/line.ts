import secureJson from 'secure-json-parse'
import { ERROR, type ErrorReply } from '../protocol/channel-errors.ts'
import { isChannelName } from '../protocol/channel-name.ts'
import { type Command, idOf, parseCommand } from '../protocol/commands.ts'
import { isDeeperThan, isUnportable } from '../protocol/json.ts'
import type { SessionConnection } from './services.ts'

/** What a line of a frame is: a command, the answer to a ping, a command that is refused, or none of the protocol's. */
export type Line = Command | 'pong' | 'malformed' | RefusedLine

export interface RefusedLine {
  /** Of the command; 0 if it has none. */
  readonly id: number
  readonly error: ErrorReply
}

const BYTE_ORDER_MARK = 0xfeff
// A longer line is parsed only if its client may send it: to find its id costs less. In bytes.
const LARGE = 4_096

/** Reads a line that came on a connection, and takes it from the rate of that connection. */
export function readLine(text: string, { intake, settings }: Pick<SessionConnection, 'intake' | 'settings'>): Line {
  const bytes = Buffer.byteLength(text)
  const isLarge = bytes > LARGE
  if (isLarge && !intake.takeCommand(bytes)) return { id: idOf(text), error: ERROR.tooManyRequests }
  const line = parseLine(text, settings.limits.maxDepth)
  // The answer to a ping is no command, and takes nothing.
  if (isLarge || typeof line === 'string' || intake.takeCommand(bytes)) return line
  return { id: line.id, error: ERROR.tooManyRequests }
}

/** It comes from a client, and may be anything. */
function parseLine(text: string, maxDepth: number): Line {
  if (text.charCodeAt(0) === BYTE_ORDER_MARK || isDeeperThan(text, maxDepth)) return 'malformed'
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return 'malformed' // that it is no JSON is the answer
  }
  const parsed = parseCommand(value)
  if (typeof parsed === 'string' || isUsable(parsed, text, value)) return parsed
  return { id: parsed.id, error: ERROR.badRequest }
}

/** An invalid channel name is refused before it is looked up or logged: it may be as long as a message. */
function isUsable({ request }: Command, text: string, value: unknown): boolean {
  if ('channel' in request && !isChannelName(request.channel)) return false
  return !hasPrototypeKey(text, value) && !isUnportable(text, value)
}

// Without one of these, a text has no such key; a key may be written with escapes.
const SUSPECT = /__proto__|constructor|\\u/

/** True if a key could change what objects inherit, if the value is copied or merged. */
function hasPrototypeKey(text: string, value: unknown): boolean {
  return SUSPECT.test(text) && secureJson.scan(value as object, { safe: true }) === null
}
