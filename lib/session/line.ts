import secureJson from 'secure-json-parse'
import { isChannelName } from '../protocol/channel-name.ts'
import { type Command, type ParsedLine, parseCommand } from '../protocol/commands.ts'
import { isDeeperThan, isUnportable } from '../protocol/json.ts'

const BYTE_ORDER_MARK = 0xfeff

/** What a line of a frame says; `refused` for a command whose payload nothing may be done with. */
export type Line = { readonly parsed: ParsedLine } | { readonly refused: number }

/** The id of a command, whatever is to become of it. */
export function idIn(line: Line): number {
  if ('refused' in line) return line.refused
  return typeof line.parsed === 'string' ? 0 : line.parsed.id
}

/** Reads one line of a frame, which comes from a client and may be anything. */
export function readLine(line: string, maxDepth: number): Line {
  if (line.charCodeAt(0) === BYTE_ORDER_MARK || isDeeperThan(line, maxDepth)) return { parsed: 'malformed' }
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch {
    return { parsed: 'malformed' } // that it is no JSON is the answer
  }
  const parsed = parseCommand(value)
  if (typeof parsed === 'string' || isUsable(parsed, line, value)) return { parsed }
  return { refused: parsed.id }
}

/** What is no name is refused before anything is looked up by it, or logged: it may be as long as a message. */
function isUsable({ request }: Command, line: string, value: unknown): boolean {
  if ('channel' in request && !isChannelName(request.channel)) return false
  return !holdsPrototype(line, value) && !isUnportable(line, value)
}

// Without one of these no key can be of the kind; a key may be spelt with escapes.
const SUSPECT = /__proto__|constructor|\\u/

/** True where a key could change what objects inherit, once someone copies or merges the value. */
function holdsPrototype(line: string, value: unknown): boolean {
  return SUSPECT.test(line) && secureJson.scan(value as object, { safe: true }) === null
}
