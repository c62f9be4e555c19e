import type { Publication } from '../../broker/broker.ts'
import type { PreparedStream, StartingPoint } from '../../hub/recovery.ts'
import { stringify } from '../../input/stringify.ts'
import type { SubscribeGrant } from '../../options/hooks.ts'
import { ChannelError, ERROR } from '../../protocol/channel-errors.ts'
import { UNSUBSCRIBE } from '../../protocol/disconnect-codes.ts'
import type { Position } from '../../protocol/position.ts'
import { subscribeResult } from '../../protocol/replies.ts'
import { timeToLive } from '../../timing/time-to-live.ts'
import { channelFormat, channelFormatWithJoins } from '../channel-format.ts'
import { describeClient } from '../client-info.ts'
import { findDeclared } from '../declared-channel.ts'
import type { ChannelDefinition } from '../definition.ts'
import type { Session } from '../session.ts'
import { Subscription } from '../subscription.ts'
import { mayReceiveJoins, mayRecover, stillHeld } from './permission.ts'

/** Enters a subscription that is being made, so that there is no second one. Throws 102, 105, 106 and 107. */
export function openSubscription(session: Session, channel: string, byServer: boolean): Subscription {
  const { definition } = findDeclared(session.services, channel)
  const { subscriptions } = session
  if (subscriptions.get(channel) !== undefined) throw new ChannelError(ERROR.alreadySubscribed.code)
  if (subscriptions.size >= session.maxSubscriptions) throw new ChannelError(ERROR.limitExceeded.code)
  const subscription = new Subscription(session, session.services.hub.nameOf(channel), definition, byServer)
  session.enter(subscription)
  return subscription
}

export interface PreparationOptions extends SubscribeGrant {
  /** Where the client goes on from. */
  readonly since?: Position | undefined
  /** Refuse (112) if what was missed is no longer available. */
  readonly rejectUnrecovered?: boolean
  /** Send the client joins and leaves. Each costs one message per receiver, so only a client that asks receives them. */
  readonly joinLeave?: boolean
}

/**
 * Makes a subscription that `openSubscription` has entered: presence first, then the stream. What the hooks of the
 * channel refuse (`since`, joins and leaves) is left out. Rejects if it can't be made; then nothing is left of it.
 */
export async function prepareSubscription(
  session: Session,
  subscription: Subscription,
  options: PreparationOptions
): Promise<PreparedSubscription> {
  const { since, joinLeave = false } = options
  try {
    const recoverable = await mayRecover(session, subscription, since)
    const format = (await mayReceiveJoins(session, subscription, joinLeave)) ? channelFormatWithJoins : channelFormat
    stillHeld(subscription)
    await enterPresence(session, subscription, options.info)
    stillHeld(subscription)
    const start = since !== undefined && recoverable ? startOf(since) : undefined
    const stream = await session.services.hub.prepare(session, subscription.channel, format, start)
    return new PreparedSubscription(session, subscription, stream, recoverable, options)
  } catch (error) {
    subscription.drop(UNSUBSCRIBE.byServer)
    throw error
  }
}

/**
 * A subscription that is made, and that its client does not know of. Nothing of the channel is sent to the client before
 * `begin`. The caller sends the result in between, without waiting for anything.
 */
export class PreparedSubscription {
  readonly #session: Session
  readonly #subscription: Subscription
  readonly #stream: PreparedStream
  /** False if the client may not receive what it missed. */
  readonly #recoverable: boolean
  readonly #options: PreparationOptions
  #taken = 0

  constructor(
    session: Session,
    subscription: Subscription,
    stream: PreparedStream,
    recoverable: boolean,
    options: PreparationOptions
  ) {
    this.#session = session
    this.#subscription = subscription
    this.#stream = stream
    this.#recoverable = recoverable
    this.#options = options
  }

  get channel(): string {
    return this.#subscription.channel
  }

  /**
   * The result to send, with what the client missed, as JSON text. Throws 103 if the subscription has ended meanwhile,
   * and 112 if what was missed is required and no longer available.
   */
  result(): string {
    const { missed, recovered } = this.#stream
    stillHeld(this.#subscription)
    if (this.#options.rejectUnrecovered && !recovered) throw new ChannelError(ERROR.unrecoverablePosition.code)
    this.#taken = fitting(this.#session, missed)
    // A connection that is excepted from a publication goes on behind it.
    const publications = missed.slice(0, this.#taken).filter(({ except }) => except !== this.#session.connection.id)
    const text = this.#textWith(publications)
    // Without publications the result is no larger than the command.
    if (publications.length > 0) this.#session.spend(text.length)
    return text
  }

  /** The result is sent: from now on the client receives what is published, and the other subscribers its join. */
  begin(): void {
    this.#subscription.live = true
    this.#stream.begin(this.#taken)
    // If publications were lost in the meantime, that has ended the subscription.
    if (this.#subscription.isHeld) this.#subscription.presence?.announce()
  }

  #textWith(publications: readonly Publication[]): string {
    const { recovered, offset, epoch } = this.#stream
    const { since, data, expiresAt } = this.#options
    const { definition } = this.#subscription
    // With missed publications, the client counts on from its own position.
    const position = { offset: recovered ? (since as Position).offset : offset, epoch }
    return subscribeResult({
      ttl: isRefreshable(definition) ? timeToLive(expiresAt) : undefined,
      position: this.#recoverable ? definition.history && position : undefined,
      recovery: since === undefined ? 'none' : recovered ? 'done' : 'failed',
      publications,
      data: data === undefined ? undefined : stringify(data)
    })
  }
}

async function enterPresence(session: Session, subscription: Subscription, info: unknown): Promise<void> {
  const { connection, services, user } = session
  const { channel, definition } = subscription
  if (info !== undefined) subscription.info = describeClient(session, info)
  const { presenceTtl: ttl, joinLeave } = definition
  if (ttl === undefined && !joinLeave) return
  const entry = { connection: connection.id, user: user?.sub ?? '', info: subscription.info ?? session.description }
  const options = { channel, entry, ttl, joinLeave: joinLeave !== false, announcer: subscription }
  subscription.presence = services.presence.keep(options)
  await subscription.presence.add()
}

/** A client that has received nothing yet knows no epoch: it asks for all publications from the beginning. */
function startOf(since: Position): StartingPoint {
  return since.epoch === '' && since.offset === 0 ? 'start' : since
}

/** How many publications go into one reply: the rest comes as pushes, as fast as the client reads. */
export function fitting({ connection }: Session, publications: readonly Publication[]): number {
  let bytes = connection.settings.limits.buffered.hard
  const count = publications.findIndex(({ data }) => {
    bytes -= data.length
    return bytes < 0
  })
  return count < 0 ? publications.length : Math.max(1, count)
}

/** If the result says when the subscription expires, the client sends `sub_refresh`: it says so only if that can succeed. */
function isRefreshable({ token, hooks }: ChannelDefinition): boolean {
  return token || hooks.onRefresh !== undefined
}
