import type { Publication } from '../../broker/broker.ts'
import type { SubscribeResult } from '../../hub/subscribe-options.ts'
import { stringify } from '../../input/stringify.ts'
import { runValidator } from '../../input/validator.ts'
import type { SubscribeGrant } from '../../options/hooks.ts'
import { ChannelError, ERROR } from '../../protocol/channel-errors.ts'
import { isChannelName } from '../../protocol/channel-name.ts'
import { UNSUBSCRIBE } from '../../protocol/disconnect-codes.ts'
import type { Position } from '../../protocol/position.ts'
import { clientInfo, subscribeResult } from '../../protocol/replies.ts'
import { timeToLive } from '../../timing/time-to-live.ts'
import { attendedChannelFormat, channelFormat } from '../channel-format.ts'
import type { ChannelDefinition, DeclaredChannel } from '../definition.ts'
import type { Session } from '../session.ts'
import { Subscription } from '../subscription.ts'
import { mayHear, mayRecover } from './permission.ts'

// Bytes that a join or leave costs for each client that is told of it: to write it costs as much as many bytes do.
const LEAST_TOLD = 1_024

/** Finds what was declared for a channel. Throws 107 for what is no name, 102 for one that nobody declared. */
export function findDeclared({ services }: Session, channel: string): DeclaredChannel {
  if (!isChannelName(channel)) throw new ChannelError(ERROR.badRequest.code)
  const match = services.findChannel(channel)
  if (match === undefined) throw new ChannelError(ERROR.unknownChannel.code)
  const { definition, params } = match
  const validator = definition.validators.params
  if (validator === undefined) return { definition, params }
  const result = runValidator(validator, { ...params })
  if ('issues' in result) throw new ChannelError(ERROR.unknownChannel.code)
  return { definition, params: result.value as DeclaredChannel['params'] }
}

/** Enters a subscription that is to be made, so that there is no second one. Throws 102, 105, 106 and 107. */
export function openSubscription(session: Session, channel: string, byServer: boolean): Subscription {
  const { definition, params } = findDeclared(session, channel)
  const { subscriptions } = session
  if (subscriptions.has(channel)) throw new ChannelError(ERROR.alreadySubscribed.code)
  if (subscriptions.size >= session.maxSubscriptions) throw new ChannelError(ERROR.limitExceeded.code)
  const subscription = new Subscription({
    channel,
    definition,
    params,
    byServer,
    expired: () => session.end(subscription, UNSUBSCRIBE.expired)
  })
  subscriptions.set(channel, subscription)
  return subscription
}

/** Sends the client what became of its subscription, which is live from then on. */
type Told = (result: string) => void | Promise<void>

export interface AttachOptions extends SubscribeGrant {
  /** Refuse (112) if what was missed is no longer available. */
  readonly rejectUnrecovered?: boolean
  /** Send the client who joins and who leaves. Each of them is sent to all that hear it, so only who asks hears it. */
  readonly joinLeave?: boolean
}

/**
 * Makes a subscription: presence first, then the stream, then the others are told. What the hooks of the channel refuse
 * of it (`since`, joins and leaves) is left out. Nothing of the channel is sent before `told` is done. Rejects where it
 * can't be made; then nothing is left of it.
 */
export async function attach(
  session: Session,
  subscription: Subscription,
  since: Position | undefined,
  told: Told,
  options: AttachOptions = {}
): Promise<void> {
  const { channel } = subscription
  const { hub } = session.services
  try {
    const recoverable = await mayRecover(session, subscription, since)
    const hears = await mayHear(session, subscription, options.joinLeave === true)
    if (!session.holds(subscription)) throw new ChannelError(ERROR.permissionDenied.code)
    await enterPresence(session, subscription, options)
    if (!session.holds(subscription)) throw new ChannelError(ERROR.permissionDenied.code)
    const format = hears ? attendedChannelFormat : channelFormat
    const start = since !== undefined && recoverable ? startOf(since) : undefined
    await hub.subscribe(session, channel, format, { since: start }, async (result, missed) => {
      if (options.rejectUnrecovered && !result.recovered) throw new ChannelError(ERROR.unrecoverablePosition.code)
      const taken = fitting(session, missed)
      // A connection that is excepted from a publication goes on behind it, as if it had been given it.
      const publications = missed.slice(0, taken).filter(({ except }) => except !== session.socket.id)
      const text = resultText(subscription, result, { since, recoverable, publications, options })
      // Without publications it is no larger than the command was.
      if (publications.length > 0) session.pay(text.length)
      await told(text)
      return taken
    })
    // It was ended by the server, or by the connection's end, while it was being made; who was told of it before has
    // been told of that too.
    if (session.holds(subscription)) subscription.presence?.announce()
    else if (!subscription.live) throw new ChannelError(ERROR.permissionDenied.code)
  } catch (error) {
    session.drop(subscription, UNSUBSCRIBE.byServer)
    throw error
  }
}

async function enterPresence(session: Session, subscription: Subscription, { info }: AttachOptions): Promise<void> {
  const { socket, services, user } = session
  const { channel, definition } = subscription
  subscription.info = describe(session, info)
  const { presenceTtl: ttl, joinLeave } = definition
  if (ttl === undefined && !joinLeave) return
  const entry = { connection: socket.id, user: user?.sub ?? '', info: subscription.info }
  const announcing = () => session.pay(services.hub.audienceOf(channel) * Math.max(LEAST_TOLD, entry.info.length))
  subscription.presence = services.presence.keep({ channel, entry, ttl, joinLeave: joinLeave !== false, announcing })
  await subscription.presence.add()
}

/** What the others are told of a client. */
export function describe({ user, socket, info: connection }: Session, info?: unknown): Buffer {
  const channel = info === undefined ? undefined : stringify(info)
  return Buffer.from(clientInfo({ user: user?.sub ?? '', client: socket.id, connection, channel }))
}

/** A client that has seen nothing yet knows no epoch: it wants all there is since the beginning. */
function startOf(since: Position): Position | 'start' {
  return since.epoch === '' && since.offset === 0 ? 'start' : since
}

/** How many publications go into one reply: what is more comes as pushes, as fast as the client reads. */
export function fitting({ socket }: Session, publications: readonly Publication[]): number {
  let bytes = socket.settings.limits.buffered.hard
  const count = publications.findIndex(({ data }) => {
    bytes -= data.length
    return bytes < 0
  })
  return count < 0 ? publications.length : Math.max(1, count)
}

interface Outcome {
  readonly since: Position | undefined
  /** False if the client may not have what it missed. */
  readonly recoverable: boolean
  readonly publications: readonly Publication[]
  readonly options: AttachOptions
}

/** Clients that are told when a subscription expires come with `sub_refresh`; where nobody would hear it they aren't. */
function isRefreshable({ token, hooks }: ChannelDefinition): boolean {
  return token || hooks.onRefresh !== undefined
}

function resultText(
  { definition }: Subscription,
  { recovered, offset, epoch }: SubscribeResult,
  { since, recoverable, publications, options: { data, expiresAt } }: Outcome
): string {
  return subscribeResult({
    ttl: isRefreshable(definition) ? timeToLive(expiresAt) : undefined,
    // With what was missed the client counts on from where it was.
    position: recoverable
      ? definition.history && { offset: recovered ? (since as Position).offset : offset, epoch }
      : undefined,
    recovery: since === undefined ? 'none' : recovered ? 'done' : 'failed',
    publications,
    data: data === undefined ? undefined : stringify(data)
  })
}
