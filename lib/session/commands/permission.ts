import type { ChannelHooks } from '../../options/hooks.ts'
import { ChannelError, ERROR } from '../../protocol/channel-errors.ts'
import type { FormRequest } from '../../protocol/commands.ts'
import type { Position } from '../../protocol/position.ts'
import type { ChannelDefinition, DeclaredChannel } from '../definition.ts'
import type { Session } from '../session.ts'
import type { Subscription } from '../subscription.ts'

/*
 * What a client may do on a channel. A forgotten hook allows nothing: without `onSubscribe` or `onPublish` the client
 * is refused. `onHistory` decides about the command `history`, and also about the missed publications that a
 * subscription begins with. `onPresence` decides about the command `presence`, and also about joins and leaves.
 */

const FALSE = 'a hook returned false: throw forbidden() to refuse, return nothing to allow'

type Required = 'onSubscribe' | 'onPublish'

/**
 * The hook to call before a client subscribes. With subscription tokens it may be missing: the application issues them.
 */
export function subscribeHook(
  session: Session,
  definition: ChannelDefinition
): NonNullable<ChannelHooks['onSubscribe']> {
  const { onSubscribe } = definition.hooks
  return onSubscribe === undefined && definition.token ? true : required(session, definition, 'onSubscribe')
}

/** The hook to call before a client publishes. */
export function publishHook(session: Session, definition: ChannelDefinition): NonNullable<ChannelHooks['onPublish']> {
  return required(session, definition, 'onPublish')
}

/**
 * Returns a hook, or `true` if the channel allows every connected client. Throws 103 if the channel was declared
 * without the hook. The first time is logged, because the application may have forgotten the hook.
 */
function required<Name extends Required>(
  session: Session,
  { hooks, reported, pattern }: ChannelDefinition,
  name: Name
): NonNullable<ChannelHooks[Name]> {
  const hook = hooks[name]
  if (hook !== undefined) return hook
  if (!reported.has(name)) {
    reported.add(name)
    session.connection.settings.log.warn({ pattern, hook: name }, 'channel hook missing')
  }
  throw new ChannelError(ERROR.permissionDenied.code)
}

/**
 * Checks the return value of a hook, and returns it. Throws for `false`, because its meaning is not clear: a hook that
 * returns a comparison means no, a hook that returns `isBad && refuse()` means yes. So no client is allowed by mistake.
 */
export function hookResult<Grant>(returned: Grant): Grant {
  if ((returned as unknown) === false) throw new TypeError(FALSE)
  return returned
}

/** Throws 103 unless the client is subscribed to the channel, and was sent the start of the subscription. */
export function requireSubscription({ subscriptions }: Session, channel: string): void {
  if (subscriptions.get(channel)?.live !== true) throw new ChannelError(ERROR.permissionDenied.code)
}

/**
 * Throws 103 if, while the hooks ran, the server has ended the connection, or the subscription has ended that the
 * publication requires. If the client has closed the connection itself, the data is still published.
 */
export function requireStillAllowed(session: Session, channel: string, { publishers }: ChannelDefinition): void {
  if (!session.closed) {
    if (publishers === 'subscribers') requireSubscription(session, channel)
  } else if (session.connection.endedBy === 'server') throw new ChannelError(ERROR.permissionDenied.code)
}

/** Throws 103 if a subscription has ended while it was being made or changed. */
export function requireActive(subscription: Subscription): void {
  if (!subscription.isActive) throw new ChannelError(ERROR.permissionDenied.code)
}

/** Throws 107 if the command asks for a filter by tags, a map or a shared poll. They are not supported. */
export function refuseSpecial({ isSpecial }: FormRequest): void {
  if (isSpecial) throw new ChannelError(ERROR.badRequest.code)
}

/** Throws 108 if the channel carries bytes, and the client's encoding cannot. */
export function refuseWithoutBytes({ format }: Session, { binary }: ChannelDefinition): void {
  if (binary && !format.encoding.isBinary) throw new ChannelError(ERROR.notAvailable.code)
}

interface HistoryAccess {
  readonly limit: number
  readonly since: Position | undefined
  readonly reverse: boolean
}

/** Throws if the client may not read the channel's history. */
export async function allowHistory(
  session: Session,
  channel: string,
  { definition, params }: DeclaredChannel,
  query: HistoryAccess
): Promise<void> {
  const { onHistory } = definition.hooks
  await session.runGuard(definition)
  if (onHistory === undefined) requireSubscription(session, channel)
  else hookResult(await session.services.deadline.wait(onHistory({ ...session.client(), channel, params, ...query })))
}

/** Throws if the client may not read the channel's presence. */
export async function allowPresence(
  session: Session,
  channel: string,
  { definition, params }: DeclaredChannel
): Promise<void> {
  const { onPresence } = definition.hooks
  await session.runGuard(definition)
  if (onPresence === undefined) requireSubscription(session, channel)
  else hookResult(await session.services.deadline.wait(onPresence({ ...session.client(), channel, params })))
}

/** Whether a new subscription may begin with the publications that the client missed. */
export async function mayRecover(
  session: Session,
  subscription: Subscription,
  since: Position | undefined
): Promise<boolean> {
  const { channel, definition, byServer } = subscription
  const { onHistory } = definition.hooks
  if (since === undefined || definition.history === undefined) return true
  return isAllowed(async () => {
    // If the client sent the command, the hooks of the scope have run already.
    if (byServer) await session.runGuard(definition)
    if (onHistory === undefined) return
    const query = { limit: -1, since, reverse: false }
    const context = { ...session.client(), channel, params: subscription.params, ...query }
    hookResult(await session.services.deadline.wait(onHistory(context)))
  })
}

/**
 * Whether a new subscription receives joins and leaves.
 * @param asked The client has asked for them.
 */
export async function mayReceiveJoins(session: Session, subscription: Subscription, asked: boolean): Promise<boolean> {
  const { channel, definition, byServer } = subscription
  const { joinLeave, hooks } = definition
  if (!joinLeave || !(asked || joinLeave === 'always')) return false
  return isAllowed(async () => {
    if (byServer) await session.runGuard(definition)
    if (hooks.onPresence === undefined) return
    const context = { ...session.client(), channel, params: subscription.params }
    hookResult(await session.services.deadline.wait(hooks.onPresence(context)))
  })
}

/**
 * False if a hook refuses. Any other error fails the whole command. If that error is temporary, the client tries again.
 */
async function isAllowed(ask: () => Promise<void>): Promise<boolean> {
  try {
    await ask()
    return true
  } catch (error) {
    if (error instanceof ChannelError && !error.disconnects && !error.temporary) return false
    throw error
  }
}
