import { ChannelError, ERROR } from '../../protocol/channel-errors.ts'
import type { CommandName } from '../../protocol/commands.ts'
import type { Message } from '../../protocol/framing.ts'
import { hasUnsafeInteger } from '../../protocol/json.ts'
import type { Session } from '../session.ts'

/**
 * Throws 107 if the payload of a command contains an integer beyond 2^53, because parsing would change it. To be called
 * if a hook, a handler or a schema receives the parsed payload. A payload that is forwarded as text needs no check.
 * @param source The command as the client sent it.
 */
export function refuseUnsafeIntegers({ format }: Session, source: Message, name: CommandName): void {
  // Most JSON commands contain no such number. In others it may be an offset, which is not part of the payload.
  if (typeof source === 'string' && !hasUnsafeInteger(source)) return
  if (hasUnsafeInteger(format.encoding.payloadOf(source, name) ?? '')) throw new ChannelError(ERROR.badRequest.code)
}
