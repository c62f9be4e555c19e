import type { Publication } from '../../broker/broker.ts'
import type { PreparedStream, StartingPoint } from '../../hub/recovery.ts'
import { stringify } from '../../input/stringify.ts'
import type { SubscribeGrant } from '../../options/hooks.ts'
import { ChannelError, ERROR } from '../../protocol/channel-errors.ts'
import { UNSUBSCRIBE } from '../../protocol/disconnect-codes.ts'
import type { Position } from '../../protocol/position.ts'
import type { ReplyPublication, SubscribeReply } from '../../protocol/results.ts'
import { bothFilters, compileFilter, type TagsFilter } from '../../protocol/tags-filter.ts'
import { timeToLive } from '../../timing/time-to-live.ts'
import { describeClient } from '../client-info.ts'
import { findDeclared } from '../declared-channel.ts'
import type { ChannelDefinition } from '../definition.ts'
import type { Session } from '../session.ts'
import { Subscription } from '../subscription.ts'
import { mayReceiveJoins, mayRecover, refuseWithoutBytes, requireActive } from './permission.ts'

// What a publication takes in a reply, besides its data and info.
const PUBLICATION_BYTES = 24

/** Adds a new subscription to the session, so that there is no second one. Throws 102, 105, 106, 107 and 108. */
export function openSubscription(session: Session, channel: string, byServer: boolean): Subscription {
  const { definition } = findDeclared(session.services, channel)
  refuseWithoutBytes(session, definition)
  const { subscriptions } = session
  if (subscriptions.get(channel) !== undefined) throw new ChannelError(ERROR.alreadySubscribed.code)
  if (subscriptions.size >= session.maxSubscriptions) throw new ChannelError(ERROR.limitExceeded.code)
  const subscription = new Subscription(session, session.services.hub.nameOf(channel), definition, byServer)
  session.enter(subscription)
  return subscription
}

export interface PreparationOptions extends SubscribeGrant {
  /** The position after which the client continues. */
  readonly since?: Position | undefined
  /** Refuse (112) if the missed publications are no longer available. */
  readonly rejectUnrecovered?: boolean
  /** The client's own filter. */
  readonly clientFilter?: TagsFilter | undefined
  /** The client takes deltas. */
  readonly takesDeltas?: boolean
  /** Send the client joins and leaves. Each is one message for each receiver, so only clients that ask receive them. */
  readonly joinLeave?: boolean
}

/**
 * Makes a subscription that `openSubscription` has added: first presence, then the stream. If a hook of the channel
 * refuses `since`, or joins and leaves, the subscription is made without them. Rejects if the subscription cannot be
 * made; then it is removed.
 */
export async function prepareSubscription(
  session: Session,
  subscription: Subscription,
  options: PreparationOptions
): Promise<PreparedSubscription> {
  const { since, joinLeave = false, takesDeltas = false, clientFilter } = options
  try {
    subscription.filter = options.filter === undefined ? undefined : compileFilter(options.filter)
    const filter = bothFilters(subscription.filter, clientFilter)
    // A delta would refer to a publication that a filter may have excluded.
    const hasDeltas = takesDeltas && subscription.definition.delta && filter === undefined
    const recoverable = await mayRecover(session, subscription, since)
    const { format } = session
    const plain = hasDeltas ? format.deltas : format.publications
    const withJoins = hasDeltas ? format.deltasWithJoins : format.publicationsWithJoins
    const hubFormat = (await mayReceiveJoins(session, subscription, joinLeave)) ? withJoins : plain
    requireActive(subscription)
    await enterPresence(session, subscription, options.info)
    requireActive(subscription)
    const start = since !== undefined && recoverable ? startOf(since) : undefined
    const stream = await session.services.hub.prepare(session, subscription.channel, hubFormat, start, filter)
    return new PreparedSubscription(session, subscription, { stream, recoverable, filter, hasDeltas }, options)
  } catch (error) {
    subscription.drop(UNSUBSCRIBE.byServer)
    throw error
  }
}

/** The state of a subscription that is made. */
interface Preparation {
  readonly stream: PreparedStream
  /** False if the client may not receive what it missed. */
  readonly recoverable: boolean
  /** The client receives only what passes. */
  readonly filter: TagsFilter | undefined
  readonly hasDeltas: boolean
}

/**
 * A subscription that is made, but not yet reported to its client. The caller calls `result`, sends the result to the
 * client, and calls `begin`, without waiting for anything in between. Before `begin` nothing of the channel is sent.
 */
export class PreparedSubscription {
  readonly #session: Session
  readonly #subscription: Subscription
  readonly #preparation: Preparation
  readonly #options: PreparationOptions
  /** How many of the missed publications are in the result. */
  #sent = 0

  constructor(session: Session, subscription: Subscription, preparation: Preparation, options: PreparationOptions) {
    this.#session = session
    this.#subscription = subscription
    this.#preparation = preparation
    this.#options = options
  }

  get channel(): string {
    return this.#subscription.channel
  }

  /**
   * The result to send, with what the client missed. Throws 103 if the subscription has ended meanwhile,
   * and 112 if the client requires the missed publications and they are no longer available.
   */
  result(): SubscribeReply {
    const { stream, filter, hasDeltas } = this.#preparation
    const { missed, recovered } = stream
    requireActive(this.#subscription)
    // If only the newest publication counts, a client that is refused could do nothing but ask for it again.
    const isRefused = this.#options.rejectUnrecovered && !recovered && !this.#isLatestOnly
    if (isRefused) throw new ChannelError(ERROR.unrecoverablePosition.code)
    this.#sent = fitting(this.#session, missed)
    // Publications that the client does not receive are left out. They still count as sent.
    const { id } = this.#session.connection
    const publications = missed
      .slice(0, this.#sent)
      .filter(({ except, tags }) => except !== id && (filter === undefined || filter(tags)))
    // Without publications the result is not larger than the command, and does not count.
    if (publications.length > 0) this.#session.spend(sizeOf(publications))
    return this.#resultWith(
      hasDeltas ? publications.map((publication) => ({ ...publication, delta: 'whole' })) : publications
    )
  }

  /** The result is sent: starts sending publications to the client, and sends its join to the other subscribers. */
  begin(): void {
    this.#subscription.live = true
    this.#preparation.stream.begin(this.#sent)
    // If publications were lost meanwhile, the subscription has ended.
    if (this.#subscription.isActive) this.#subscription.presence?.announce()
  }

  get #isLatestOnly(): boolean {
    return this.#subscription.definition.recover === 'latest'
  }

  #resultWith(publications: readonly ReplyPublication[]): SubscribeReply {
    const { stream, recoverable, hasDeltas } = this.#preparation
    const { recovered, offset, epoch } = stream
    const { since, data, expiresAt } = this.#options
    const { definition } = this.#subscription
    // If the client has recovered, it counts the missed publications from its own position.
    const isCounting = recovered && !this.#isLatestOnly
    const position = { offset: isCounting ? this.#countedFrom(publications) : offset, epoch }
    return {
      ttl: isRefreshable(definition) ? timeToLive(expiresAt) : undefined,
      position: recoverable ? definition.history && position : undefined,
      recovery: since === undefined ? 'none' : recovered ? 'done' : 'failed',
      publications,
      delta: hasDeltas,
      data: data === undefined ? undefined : stringify(data)
    }
  }

  /**
   * The position from which the client counts. If it receives none of what it missed, it need not ask for that again.
   */
  #countedFrom({ length }: readonly ReplyPublication[]): number {
    const { offset } = this.#options.since as Position
    return length === 0 ? offset + this.#sent : offset
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

/** A client that has received nothing yet knows no epoch. It asks for all publications that are kept. */
function startOf(since: Position): StartingPoint {
  return since.epoch === '' && since.offset === 0 ? 'start' : since
}

function sizeOf(publications: readonly Publication[]): number {
  return publications.reduce(
    (bytes, { data, info }) => bytes + PUBLICATION_BYTES + data.length + (info?.length ?? 0),
    0
  )
}

/** How many publications go into one reply. The rest is sent as pushes, as fast as the client reads. */
export function fitting({ connection }: Session, publications: readonly Publication[]): number {
  let bytes = connection.settings.limits.buffered.hard
  const count = publications.findIndex(({ data }) => {
    bytes -= data.length
    return bytes < 0
  })
  return count < 0 ? publications.length : Math.max(1, count)
}

/**
 * If the result has a `ttl`, the client sends `sub_refresh` before the subscription expires. So the result has one only
 * if `sub_refresh` can succeed.
 */
function isRefreshable({ token, hooks }: ChannelDefinition): boolean {
  return token || hooks.onRefresh !== undefined
}
