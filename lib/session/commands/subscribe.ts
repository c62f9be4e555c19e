import type { SubscribeGrant } from '../../options/hooks.ts'
import type { Claims } from '../../options/options.ts'
import { ChannelError, ERROR, type ErrorReply } from '../../protocol/channel-errors.ts'
import { UNSUBSCRIBE } from '../../protocol/disconnect-codes.ts'
import { subRefreshResult } from '../../protocol/replies.ts'
import { timeToLive } from '../../timing/time-to-live.ts'
import type { Session } from '../session.ts'
import type { Subscription } from '../subscription.ts'
import type { CommandOf } from './command.ts'
import { refuseUnsafeIntegers } from './payload.ts'
import { answerOf, plainOnly, stillHeld, subscribeHook } from './permission.ts'
import { openSubscription, prepareSubscription } from './prepared-subscription.ts'

// A subscription that comes too late for its own end is refused. One that exists goes on until its old end, and its
// client tries again with a new token: clients take an error that is not temporary for the end of the subscription.
const ONCE = { temporary: false }
const AGAIN = { temporary: true }
type Late = typeof ONCE

/** `subscribe`: asks the application, then makes the subscription. */
export async function subscribe(session: Session, command: CommandOf<'subscribe'>, text: string): Promise<void> {
  const { channel, token, data, since, rejectUnrecovered, joinLeave } = command.request
  plainOnly(command.request)
  refuseUnsafeIntegers(text, 'subscribe')
  const subscription = openSubscription(session, channel, false)
  const { definition } = subscription
  try {
    const onSubscribe = subscribeHook(session, definition)
    await session.runGuard(definition)
    const claims = definition.token ? await verifySubscription(session, subscription, token, ONCE) : undefined
    let grant: SubscribeGrant = {}
    if (onSubscribe !== true) {
      const context = { ...session.client(), channel, params: subscription.params, data, token, claims }
      grant = answerOf(await session.services.deadline.wait(onSubscribe(context))) ?? {}
    }
    stillHeld(subscription)
    const { info = claims?.info, expiresAt = claims?.exp } = grant
    checkExpiry(expiresAt, grant.expiresAt === undefined ? ERROR.tokenExpired : ERROR.expired, ONCE)
    const options = {
      data: grant.data,
      info,
      expiresAt,
      since,
      rejectUnrecovered: rejectUnrecovered && since !== undefined,
      joinLeave
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

/** `unsubscribe`: what isn't subscribed is none afterwards either. */
export async function unsubscribe(session: Session, command: CommandOf<'unsubscribe'>): Promise<void> {
  const subscription = session.subscriptions.get(command.request.channel)
  if (subscription !== undefined) subscription.drop(UNSUBSCRIBE.byClient)
  session.reply(command, '{}')
}

/** `sub_refresh`: the client comes with a new token before its subscription expires. */
export async function subRefresh(session: Session, command: CommandOf<'sub_refresh'>): Promise<void> {
  const { channel, token } = command.request
  plainOnly(command.request)
  const subscription = session.subscriptions.get(channel)
  if (subscription === undefined) throw new ChannelError(ERROR.permissionDenied.code)
  const { definition, params } = subscription
  await session.runGuard(definition)
  const { onRefresh } = definition.hooks
  if (!definition.token && onRefresh === undefined) {
    // Nobody gives it another end: it keeps the one that it has.
    if (subscription.expiresAt === undefined) throw new ChannelError(ERROR.notAvailable.code)
    session.reply(command, subRefreshResult(timeToLive(subscription.expiresAt)))
    return
  }
  if (definition.token && token === '') throw new ChannelError(ERROR.badRequest.code)
  const claims = definition.token ? await verifySubscription(session, subscription, token, AGAIN) : undefined
  const context = { ...session.client(), channel, params, token, claims }
  const grant = answerOf(await session.services.deadline.wait(onRefresh?.(context))) ?? {}
  // A hook that only checks gives no time: the end stays as it was.
  const { expiresAt = claims === undefined ? subscription.expiresAt : claims.exp } = grant
  checkExpiry(expiresAt, grant.expiresAt === undefined ? ERROR.tokenExpired : ERROR.expired, AGAIN)
  stillHeld(subscription)
  expireAt(session, subscription, expiresAt)
  session.reply(command, subRefreshResult(timeToLive(expiresAt)))
}

/** A token for one channel: the claims `sub` and `channel` say whose and for which. */
async function verifySubscription(
  { services, request, user }: Session,
  { channel }: Subscription,
  token: string,
  late: Late
): Promise<Claims> {
  if (token === '') throw new ChannelError(ERROR.permissionDenied.code)
  const verdict = await services.verify(token, request, 'subscription')
  if ('fault' in verdict) {
    if (verdict.fault === 'expired') throw new ChannelError(ERROR.tokenExpired.code, undefined, late)
    throw new ChannelError(verdict.fault === 'invalid' ? ERROR.permissionDenied.code : ERROR.internal.code)
  }
  const { claims } = verdict
  if (claims.sub !== user?.sub || claims.channel !== channel) throw new ChannelError(ERROR.permissionDenied.code)
  return claims
}

/** Throws the error if it is over already. If the application gives what is no time, that is its own fault. */
function checkExpiry(expiresAt: number | undefined, { code }: ErrorReply, late: Late): void {
  if (expiresAt === undefined) return
  if (typeof expiresAt !== 'number' || Number.isNaN(expiresAt))
    throw new TypeError('expiresAt is no number of seconds since 1970')
  if (expiresAt <= Date.now() / 1000) throw new ChannelError(code, undefined, late)
}

function expireAt(session: Session, subscription: Subscription, expiresAt: number | undefined): void {
  const { wheel } = session.services
  subscription.expiresAt = expiresAt
  if (expiresAt === undefined) wheel.delete(subscription)
  // It may have ended in the moment in which it was made.
  else if (subscription.isHeld) wheel.set(subscription, wheel.now() + expiresAt * 1000 - Date.now())
}
