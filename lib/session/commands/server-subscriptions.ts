import { loggable } from '../../input/loggable.ts'
import type { ServerSubscription } from '../../options/hooks.ts'
import { ChannelError, ERROR } from '../../protocol/channel-errors.ts'
import { DISCONNECT, UNSUBSCRIBE } from '../../protocol/disconnect-codes.ts'
import type { Position } from '../../protocol/position.ts'
import type { FilterNode } from '../../protocol/tags-filter.ts'
import type { Session } from '../session.ts'
import type { Subscription } from '../subscription.ts'
import { openSubscription, type PreparedSubscription, prepareSubscription } from './prepared-subscription.ts'

// Here the client cannot ask for joins and leaves. It receives them if the channel is declared with `joinLeave`.
const OPTIONS = { joinLeave: true }

/** Makes the subscriptions that a client has from its `connect` on. If one cannot be made, none is made. */
export async function prepareAtConnect(
  session: Session,
  channels: readonly (string | ServerSubscription)[],
  positions: ReadonlyMap<string, Position | undefined>
): Promise<PreparedSubscription[]> {
  const grants = new Map(
    channels.map((one) => (typeof one === 'string' ? [one, undefined] : ([one.channel, one.filter] as const)))
  )
  if (grants.size > session.maxSubscriptions) {
    throw new ChannelError(DISCONNECT.channelLimit.code, DISCONNECT.channelLimit.reason)
  }
  const subscriptions = openAll(session, grants.keys())
  const prepare = (subscription: Subscription) =>
    prepareSubscription(session, subscription, {
      ...OPTIONS,
      since: positions.get(subscription.channel),
      filter: grants.get(subscription.channel)
    })
  try {
    return await Promise.all(subscriptions.map(prepare))
  } catch (error) {
    for (const subscription of subscriptions) subscription.drop(UNSUBSCRIBE.byServer)
    throw error
  }
}

/**
 * Throws 108 if a channel carries bytes, and the client's encoding cannot. Throws if a channel is not declared. That is
 * a fault of the application, so the client receives an internal error.
 */
function openAll(session: Session, channels: Iterable<string>): Subscription[] {
  const opened: Subscription[] = []
  try {
    for (const channel of channels) opened.push(openSubscription(session, channel, true))
    return opened
  } catch (cause) {
    for (const subscription of opened) subscription.drop(UNSUBSCRIBE.byServer)
    if (cause instanceof ChannelError && cause.code === ERROR.notAvailable.code) throw cause
    throw new Error('onConnect names a channel that is not declared', { cause })
  }
}

/** Subscribes a connected client on behalf of the application. */
export async function subscribeByServer(session: Session, channel: string, filter?: FilterNode): Promise<void> {
  if (session.subscriptions.get(channel) !== undefined) return
  const prepared = await prepareSubscription(session, openSubscription(session, channel, true), { ...OPTIONS, filter })
  session.push(session.format.encoding.subscribePush(channel, prepared.result()))
  prepared.begin()
}

/** Like `subscribeByServer`, but no caller waits for the result: an error is logged. */
export async function subscribeByRequest(session: Session, channel: string, filter?: FilterNode): Promise<void> {
  try {
    if (!session.closed) await subscribeByServer(session, channel, filter)
  } catch (error) {
    session.log.failed({ err: loggable(error) }, 'subscription by the server failed')
  }
}
