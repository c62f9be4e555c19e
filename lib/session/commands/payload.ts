import { ChannelError, ERROR } from '../../protocol/channel-errors.ts'
import type { CommandName } from '../../protocol/commands.ts'
import { hasUnsafeInteger } from '../../protocol/json.ts'
import { rawMember } from '../../protocol/raw-json.ts'

/**
 * Throws 107 if the payload of a command contains an integer beyond 2^53, because parsing would change it. To be called
 * if a hook, a handler or a schema receives the parsed payload. A payload that is forwarded as text needs no check.
 * @param text The command as the client sent it.
 */
export function refuseUnsafeIntegers(text: string, name: CommandName): void {
  // Most texts contain no such number. In others it may be an offset, which is not part of the payload.
  if (hasUnsafeInteger(text) && hasUnsafeInteger(rawMember(text, [name, 'data']) ?? '')) {
    throw new ChannelError(ERROR.badRequest.code)
  }
}
