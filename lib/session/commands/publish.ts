import { checkIdempotencyKey } from '../../input/idempotency-key.ts'
import { userKey } from '../../input/user-key.ts'
import { runValidator } from '../../input/validator.ts'
import type { PublishGrant } from '../../options/hooks.ts'
import { ChannelError, ERROR } from '../../protocol/channel-errors.ts'
import type { Message } from '../../protocol/framing.ts'
import { findDeclared } from '../declared-channel.ts'
import type { LaneSlot } from '../lanes.ts'
import type { Session } from '../session.ts'
import type { CommandOf } from './command.ts'
import { refuseUnsafeIntegers } from './payload.ts'
import {
  hookResult,
  publishHook,
  refuseSpecial,
  refuseWithoutBytes,
  requireStillAllowed,
  requireSubscription
} from './permission.ts'

/** `publish`: validates the data, asks the application, and publishes. */
export async function publish(
  session: Session,
  command: CommandOf<'publish'>,
  source: Message,
  slot: LaneSlot
): Promise<void> {
  const { channel } = command.request
  refuseSpecial(command.request)
  const { definition, params } = findDeclared(session.services, channel)
  refuseWithoutBytes(session, definition)
  const onPublish = publishHook(session, definition)
  if (definition.publishers === 'subscribers') requireSubscription(session, channel)
  await session.runGuard(definition)
  const { encoding } = session.format
  const { data: sent } = command.request
  if (sent === undefined) throw new ChannelError(ERROR.badRequest.code)
  const { binary } = definition
  const value = binary ? sent : encoding.publishedValue(sent, session.connection.settings.limits.maxDepth)
  const validator = definition.validators.publication
  if (validator !== undefined) refuseUnsafeIntegers(session, source, 'publish')
  const validation = validator === undefined ? undefined : runValidator(validator, value)
  if (validation !== undefined && 'issues' in validation) throw new ChannelError(ERROR.badRequest.code)
  const data = validation === undefined ? value : validation.value
  const { deadline, hub } = session.services
  let grant: PublishGrant = {}
  if (onPublish !== true) {
    const context = { ...session.client(), channel, params, data }
    grant = hookResult(await deadline.wait(onPublish(context))) ?? {}
  }
  requireStillAllowed(session, channel, definition)
  const info = session.subscriptions.get(channel)?.info ?? session.description
  const key = checkIdempotencyKey(grant.idempotencyKey)
  const idempotencyKey = key === undefined ? undefined : userKey(session.user?.sub, key)
  const echo: unknown = grant.echo ?? definition.echo
  if (typeof echo !== 'boolean') throw new TypeError('echo, as onPublish gives it, is not true or false')
  const options = { idempotencyKey, except: echo ? undefined : session.connection.id, tags: grant.tags }
  // A schema may have changed the data. Otherwise the client's text is published unchanged.
  const isUnchanged = grant.data === undefined && validation === undefined && !binary
  const publishing = isUnchanged
    ? hub.publishText(channel, encoding.payloadOf(source, 'publish') as string, options, info)
    : hub.publish(channel, grant.data === undefined ? data : grant.data, options, info)
  // The broker adds publications in the order of the calls, so the next `publish` does not have to wait for the answer.
  slot.release()
  await publishing
  session.reply(command, {})
}
