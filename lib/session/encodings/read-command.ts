import { ERROR } from '../../protocol/channel-errors.ts'
import type { Message } from '../../protocol/framing.ts'
import type { SessionConnection } from '../services.ts'
import type { Encoding, ReadCommand } from './encoding.ts'

// Bytes. For a larger command the rate is checked before the command is read. If the command is refused, only its id is
// looked for, which takes less time than to read the command.
const LARGE = 4_096

/** Reads a command, and counts it against the rate of its connection. */
export function readCommand(
  command: Message,
  encoding: Encoding,
  { intake, settings }: Pick<SessionConnection, 'intake' | 'settings'>
): ReadCommand {
  const bytes = Buffer.byteLength(command)
  const isLarge = bytes > LARGE
  if (isLarge && !intake.takeCommand(bytes)) return { id: encoding.idOf(command), error: ERROR.tooManyRequests }
  const read = encoding.read(command, settings.limits.maxDepth)
  // The answer to a ping is not a command, and does not count.
  if (isLarge || typeof read === 'string' || intake.takeCommand(bytes)) return read
  return { id: read.id, error: ERROR.tooManyRequests }
}
