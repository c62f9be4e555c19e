import type { SubscribeGrant } from '../../options/hooks.ts'
import type { Claims } from '../../options/options.ts'
import { ChannelError, ERROR, type ErrorReply } from '../../protocol/channel-errors.ts'
import { UNSUBSCRIBE } from '../../protocol/disconnect-codes.ts'
import type { Message } from '../../protocol/framing.ts'
import { compileFilter, type TagsFilter } from '../../protocol/tags-filter.ts'
import { timeToLive } from '../../timing/time-to-live.ts'
import type { ChannelDefinition } from '../definition.ts'
import type { Session } from '../session.ts'
import type { Subscription } from '../subscription.ts'
import type { CommandOf } from './command.ts'
import { refuseUnsafeIntegers } from './payload.ts'
import { hookResult, refuseSpecial, requireActive, subscribeHook } from './permission.ts'
import { openSubscription, prepareSubscription } from './prepared-subscription.ts'

// The error if a token has expired. A client ends its subscription if the error is not temporary. So the client does
// not repeat a `subscribe`. It repeats a `sub_refresh` with a new token; its subscription continues until its old
// expiry.
const FINAL = { temporary: false }
const TEMPORARY = { temporary: true }
type Expired = typeof FINAL

/** `subscribe`: asks the application, and makes the subscription. */
export async function subscribe(session: Session, command: CommandOf<'subscribe'>, source: Message): Promise<void> {
  const { channel, token, data, since, rejectUnrecovered, joinLeave, delta } = command.request
  refuseSpecial(command.request)
  refuseUnsafeIntegers(session, source, 'subscribe')
  const subscription = openSubscription(session, channel, false)
  const { definition } = subscription
  try {
    const clientFilter = filterOf(command, definition)
    const onSubscribe = subscribeHook(session, definition)
    await session.runGuard(definition)
    const claims = definition.token ? await verifySubscription(session, subscription, token, FINAL) : undefined
    let grant: SubscribeGrant = {}
    if (onSubscribe !== true) {
      const context = { ...session.client(), channel, params: subscription.params, data, token, claims }
      grant = hookResult(await session.services.deadline.wait(onSubscribe(context))) ?? {}
    }
    requireActive(subscription)
    const { info = claims?.info, expiresAt = claims?.exp } = grant
    checkExpiry(expiresAt, grant.expiresAt === undefined ? ERROR.tokenExpired : ERROR.expired, FINAL)
    const options = {
      data: grant.data,
      info,
      expiresAt,
      since,
      rejectUnrecovered: rejectUnrecovered && since !== undefined,
      joinLeave,
      filter: grant.filter,
      clientFilter,
      takesDeltas: delta !== ''
    }
    const prepared = await prepareSubscription(session, subscription, options)
    session.reply(command, prepared.result())
    session.sendReplies()
    prepared.begin()
    expireAt(session, subscription, expiresAt)
  } catch (error) {
    subscription.drop(UNSUBSCRIBE.byServer)
    throw error
  }
}

/**
 * The client's filter. Throws 107 if the channel takes no filters, if the filter is not valid, or if the client asks for
 * deltas too: those of a filtered channel would refer to publications that the client does not have.
 */
function filterOf({ request }: CommandOf<'subscribe'>, { filters }: ChannelDefinition): TagsFilter | undefined {
  const { filter, delta } = request
  if (filter === undefined) return undefined
  if (!filters || delta !== '') throw new ChannelError(ERROR.badRequest.code)
  try {
    return compileFilter(filter)
  } catch {
    throw new ChannelError(ERROR.badRequest.code) // the filter is not valid
  }
}

/** `unsubscribe`: it also succeeds if the client is not subscribed to the channel. */
export async function unsubscribe(session: Session, command: CommandOf<'unsubscribe'>): Promise<void> {
  session.subscriptions.get(command.request.channel)?.drop(UNSUBSCRIBE.byClient)
  session.reply(command, {})
}

/** `sub_refresh`: the client sends a new token before its subscription expires. */
export async function subRefresh(session: Session, command: CommandOf<'sub_refresh'>): Promise<void> {
  const { channel, token } = command.request
  refuseSpecial(command.request)
  const subscription = session.subscriptions.get(channel)
  if (subscription === undefined) throw new ChannelError(ERROR.permissionDenied.code)
  const { definition, params } = subscription
  await session.runGuard(definition)
  const { onRefresh } = definition.hooks
  if (!definition.token && onRefresh === undefined) {
    // Neither a token nor a hook can change when the subscription expires.
    if (subscription.expiresAt === undefined) throw new ChannelError(ERROR.notAvailable.code)
    session.reply(command, { ttl: timeToLive(subscription.expiresAt) })
    return
  }
  if (definition.token && token === '') throw new ChannelError(ERROR.badRequest.code)
  const claims = definition.token ? await verifySubscription(session, subscription, token, TEMPORARY) : undefined
  const context = { ...session.client(), channel, params, token, claims }
  const grant = hookResult(await session.services.deadline.wait(onRefresh?.(context))) ?? {}
  // A hook may only check. Then the expiry stays the same.
  const { expiresAt = claims === undefined ? subscription.expiresAt : claims.exp } = grant
  checkExpiry(expiresAt, grant.expiresAt === undefined ? ERROR.tokenExpired : ERROR.expired, TEMPORARY)
  requireActive(subscription)
  expireAt(session, subscription, expiresAt)
  session.reply(command, { ttl: timeToLive(expiresAt) })
}

/** Verifies a token for one channel: its claims `sub` and `channel` must be those of the user and the channel. */
async function verifySubscription(
  { services, request, user }: Session,
  { channel }: Subscription,
  token: string,
  expired: Expired
): Promise<Claims> {
  if (token === '') throw new ChannelError(ERROR.permissionDenied.code)
  const verdict = await services.verify(token, request, 'subscription')
  if ('fault' in verdict) {
    if (verdict.fault === 'expired') throw new ChannelError(ERROR.tokenExpired.code, undefined, expired)
    throw new ChannelError(verdict.fault === 'invalid' ? ERROR.permissionDenied.code : ERROR.internal.code)
  }
  const { claims } = verdict
  if (claims.sub !== user?.sub || claims.channel !== channel) throw new ChannelError(ERROR.permissionDenied.code)
  return claims
}

/** Throws the error if the time is in the past. Throws a `TypeError` if the application returned no number. */
function checkExpiry(expiresAt: number | undefined, { code }: ErrorReply, expired: Expired): void {
  if (expiresAt === undefined) return
  if (typeof expiresAt !== 'number' || Number.isNaN(expiresAt))
    throw new TypeError('expiresAt is no number of seconds since 1970')
  if (expiresAt <= Date.now() / 1000) throw new ChannelError(code, undefined, expired)
}

function expireAt(session: Session, subscription: Subscription, expiresAt: number | undefined): void {
  const { wheel } = session.services
  subscription.expiresAt = expiresAt
  if (expiresAt === undefined) wheel.delete(subscription)
  // The subscription may have ended as soon as it began.
  else if (subscription.isActive) wheel.set(subscription, wheel.now() + expiresAt * 1000 - Date.now())
}
