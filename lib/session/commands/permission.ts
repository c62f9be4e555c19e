import type { ChannelHooks } from '../../options/hooks.ts'
import { ChannelError, ERROR } from '../../protocol/channel-errors.ts'
import type { FormRequest } from '../../protocol/commands.ts'
import type { Position } from '../../protocol/position.ts'
import type { ChannelDefinition, DeclaredChannel } from '../definition.ts'
import type { Session } from '../session.ts'
import type { Subscription } from '../subscription.ts'

/*
 * What a client may do on a channel. Nothing is allowed by mistake: without `onSubscribe` or `onPublish` a client is
 * refused. Missed publications come with a subscription only if `onHistory` allows them, and joins and leaves only if
 * `onPresence` does, as for the commands `history` and `presence`.
 */

const FALSE = 'a hook returned false: throw forbidden() to refuse, return nothing to allow'

type Required = 'onSubscribe' | 'onPublish'

/** The hook to ask before a client subscribes. A subscription token replaces it: the application has issued the token. */
export function subscribeHook(
  session: Session,
  definition: ChannelDefinition
): NonNullable<ChannelHooks['onSubscribe']> {
  const { onSubscribe } = definition.hooks
  return onSubscribe === undefined && definition.token ? true : required(session, definition, 'onSubscribe')
}

/** The hook to ask before a client publishes. */
export function publishHook(session: Session, definition: ChannelDefinition): NonNullable<ChannelHooks['onPublish']> {
  return required(session, definition, 'onPublish')
}

/**
 * Gives a hook, or `true` for every connected client. Throws 103 if the channel was declared without it. The first time
 * is logged, because the application may have forgotten the hook.
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
 * Gives what a hook has returned. Throws for `false`, which has two meanings: a hook that returns a comparison means no,
 * one that returns `isBad && refuse()` means yes. No client is let in by that mistake.
 */
export function answerOf<Grant>(returned: Grant): Grant {
  if ((returned as unknown) === false) throw new TypeError(FALSE)
  return returned
}

/** Throws 103 unless the client is subscribed to the channel, and was sent that it is. */
export function subscribersOnly({ subscriptions }: Session, channel: string): void {
  if (subscriptions.get(channel)?.live !== true) throw new ChannelError(ERROR.permissionDenied.code)
}

/**
 * Throws 103 if the server has ended the connection, or the subscription that a publication requires, while the hooks
 * ran. A publication of a client that left by itself is published.
 */
export function stillAllowed(session: Session, channel: string, { publishers }: ChannelDefinition): void {
  if (!session.closed) {
    if (publishers === 'subscribers') subscribersOnly(session, channel)
  } else if (session.connection.endedBy === 'server') throw new ChannelError(ERROR.permissionDenied.code)
}

/** Throws 103 if a subscription that is being made or changed has ended meanwhile. */
export function stillHeld(subscription: Subscription): void {
  if (!subscription.isHeld) throw new ChannelError(ERROR.permissionDenied.code)
}

/** Throws 107 if the command asks for a filter by tags, a map or a shared poll: no channel offers them. */
export function plainOnly({ isSpecial }: FormRequest): void {
  if (isSpecial) throw new ChannelError(ERROR.badRequest.code)
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
  if (onHistory === undefined) subscribersOnly(session, channel)
  else answerOf(await session.services.deadline.wait(onHistory({ ...session.client(), channel, params, ...query })))
}

/** Throws if the client may not read the channel's presence. */
export async function allowPresence(
  session: Session,
  channel: string,
  { definition, params }: DeclaredChannel
): Promise<void> {
  const { onPresence } = definition.hooks
  await session.runGuard(definition)
  if (onPresence === undefined) subscribersOnly(session, channel)
  else answerOf(await session.services.deadline.wait(onPresence({ ...session.client(), channel, params })))
}

/** Whether a subscription that is being made may begin with the publications that the client missed. */
export async function mayRecover(
  session: Session,
  subscription: Subscription,
  since: Position | undefined
): Promise<boolean> {
  const { channel, definition, byServer } = subscription
  const { onHistory } = definition.hooks
  if (since === undefined || definition.history === undefined) return true
  return isAllowed(async () => {
    // For a command of the client, the hooks of the scope have run already.
    if (byServer) await session.runGuard(definition)
    if (onHistory === undefined) return
    const query = { limit: -1, since, reverse: false }
    const context = { ...session.client(), channel, params: subscription.params, ...query }
    answerOf(await session.services.deadline.wait(onHistory(context)))
  })
}

/** Whether a subscription that is being made receives joins and leaves; `asked` if the client asked for them. */
export async function mayReceiveJoins(session: Session, subscription: Subscription, asked: boolean): Promise<boolean> {
  const { channel, definition, byServer } = subscription
  const { joinLeave, hooks } = definition
  if (!joinLeave || !(asked || joinLeave === 'always')) return false
  return isAllowed(async () => {
    if (byServer) await session.runGuard(definition)
    if (hooks.onPresence === undefined) return
    const context = { ...session.client(), channel, params: subscription.params }
    answerOf(await session.services.deadline.wait(hooks.onPresence(context)))
  })
}

/**
 * False if a hook refuses. Any other error is a failure of the whole command: the client tries again if the error is
 * temporary.
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
