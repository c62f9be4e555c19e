import secureJson from 'secure-json-parse'
import { ERROR, type ErrorReply } from '../protocol/channel-errors.ts'
import { isChannelName } from '../protocol/channel-name.ts'
import { type Command, idOf, parseCommand } from '../protocol/commands.ts'
import { isDeeperThan, isUnportable } from '../protocol/json.ts'
import type { SessionConnection } from './services.ts'

/**
 * A line of a frame: a command, the answer to a ping, a line that the protocol does not allow, or a refused command.
 */
export type Line = Command | 'pong' | 'malformed' | RefusedLine

export interface RefusedLine {
  /** The id of the command. 0 if the command has none. */
  readonly id: number
  readonly error: ErrorReply
}

const BYTE_ORDER_MARK = 0xfeff
// Bytes. For a larger line the rate is checked before the line is parsed. If the line is refused, only its id is looked
// for, which takes less time than to parse the line.
const LARGE = 4_096

/** Reads a line, and counts it against the rate of its connection. */
export function readLine(text: string, { intake, settings }: Pick<SessionConnection, 'intake' | 'settings'>): Line {
  const bytes = Buffer.byteLength(text)
  const isLarge = bytes > LARGE
  if (isLarge && !intake.takeCommand(bytes)) return { id: idOf(text), error: ERROR.tooManyRequests }
  const line = parseLine(text, settings.limits.maxDepth)
  // The answer to a ping is not a command, and does not count.
  if (isLarge || typeof line === 'string' || intake.takeCommand(bytes)) return line
  return { id: line.id, error: ERROR.tooManyRequests }
}

/** Parses a line of a client, which may be any text. */
function parseLine(text: string, maxDepth: number): Line {
  if (text.charCodeAt(0) === BYTE_ORDER_MARK || isDeeperThan(text, maxDepth)) return 'malformed'
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return 'malformed' // it is not JSON
  }
  const parsed = parseCommand(value)
  if (typeof parsed === 'string' || isUsable(parsed, text, value)) return parsed
  return { id: parsed.id, error: ERROR.badRequest }
}

/**
 * False if a command must be refused. Here an invalid channel name is refused before it is looked up or logged, because
 * it may be as long as a message.
 */
function isUsable({ request }: Command, text: string, value: unknown): boolean {
  if ('channel' in request && !isChannelName(request.channel)) return false
  return !hasPrototypeKey(text, value) && !isUnportable(text, value)
}

// A text without any of these has no such key. JSON may write a key with escapes.
const SUSPECT = /__proto__|constructor|\\u/

/** True if the value has a key that could change an object's prototype when the value is copied or merged. */
function hasPrototypeKey(text: string, value: unknown): boolean {
  return SUSPECT.test(text) && secureJson.scan(value as object, { safe: true }) === null
}
