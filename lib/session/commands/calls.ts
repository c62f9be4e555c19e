import { stringify } from '../../input/stringify.ts'
import { runValidator } from '../../input/validator.ts'
import { ChannelError, ERROR } from '../../protocol/channel-errors.ts'
import { DISCONNECT } from '../../protocol/disconnect-codes.ts'
import type { Message } from '../../protocol/framing.ts'
import { onOneLine } from '../encodings/json-payload.ts'
import type { Session } from '../session.ts'
import type { CommandOf } from './command.ts'
import { refuseUnsafeIntegers } from './payload.ts'

/** `rpc`: calls a method of the application. */
export async function rpc(session: Session, command: CommandOf<'rpc'>, source: Message): Promise<void> {
  const { method, data } = command.request
  const { deadline, findMethod } = session.services
  const definition = findMethod(method)
  if (definition === undefined) throw new ChannelError(ERROR.methodNotFound.code)
  await session.runGuard(definition)
  refuseUnsafeIntegers(session, source, 'rpc')
  const { validator, serializer = stringify } = definition
  const validation = validator === undefined ? { value: data } : runValidator(validator, data ?? null)
  if ('issues' in validation) throw new ChannelError(ERROR.badRequest.code)
  const result = await deadline.wait(definition.handler({ ...session.client(), data: validation.value }))
  session.reply(command, { data: result === undefined ? 'null' : onOneLine(serializer(result)) })
}

/** `send`: a message without an answer. */
export async function send(session: Session, command: CommandOf<'send'>, source: Message): Promise<void> {
  const { deadline, hooks } = session.services
  const { onMessage } = hooks
  if (onMessage === undefined) {
    // `send` has no answer, so disconnecting is the only way to inform the client that nothing receives its messages.
    throw new ChannelError(DISCONNECT.notAvailable.code, DISCONNECT.notAvailable.reason)
  }
  refuseUnsafeIntegers(session, source, 'send')
  await deadline.wait(onMessage({ ...session.client(), data: command.request.data }))
}
