import { ERROR } from '../../protocol/channel-errors.ts'
import { isChannelName } from '../../protocol/channel-name.ts'
import { type Command, idOf, parseCommand, splitFrame } from '../../protocol/commands.ts'
import { isDeeperThan } from '../../protocol/json.ts'
import { rawMember } from '../../protocol/raw-json.ts'
import {
  disconnectPush,
  errorReply,
  laggingPush,
  PING,
  presencePush,
  publicationHead,
  publicationPush,
  refreshPush,
  reply,
  subscribePush,
  unsubscribePush
} from '../../protocol/replies.ts'
import type { Encoding, ReadCommand } from './encoding.ts'
import { isSafeJson } from './json-payload.ts'

/** JSON: one command or message per line. */
export const jsonEncoding: Encoding = {
  name: 'json',
  isBinary: false,
  ping: PING,
  split: (data, most) => splitFrame(data.toString(), most),
  idOf: (line) => idOf(line as string),
  read: (line, maxDepth) => readLine(line as string, maxDepth),
  payloadOf: (line, name) => rawMember(line as string, [name, 'data']),
  publishedValue: (data) => data,
  reply,
  error: errorReply,
  join: (replies) => replies.join('\n'),
  subscribePush,
  unsubscribePush,
  disconnectPush,
  refreshPush,
  laggingPush,
  presencePush: (channel, kind, info) => presencePush(channel, kind, info.toString()),
  publicationHead,
  publicationPush
}

const BYTE_ORDER_MARK = 0xfeff

/** Reads a line of a client, which may be any text. */
function readLine(text: string, maxDepth: number): ReadCommand {
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
  return isSafeJson(text, value)
}
