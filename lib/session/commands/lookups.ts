import { setTimeout as delay } from 'node:timers/promises'
import type { HistoryPage, HistoryQuery, Publication } from '../../broker/broker.ts'
import { ChannelError, ERROR } from '../../protocol/channel-errors.ts'
import type { ResultsByCommand } from '../../protocol/results.ts'
import type { TagsFilter } from '../../protocol/tags-filter.ts'
import { findDeclared } from '../declared-channel.ts'
import type { DeclaredChannel } from '../definition.ts'
import type { Session } from '../session.ts'
import type { CommandOf } from './command.ts'
import { allowHistory, allowPresence, refuseWithoutBytes } from './permission.ts'

// How many publications one reply holds at most.
const PAGE = 1_000
// Bytes or characters. A larger answer takes so long to write that other connections must run in between.
const LARGE = 16_384
// After a large answer the client's next one waits so many times as long as the last one took: one client that asks all
// the time gets a fifth of the node's time at most.
const REST = 4
// Milliseconds. If an answer took long because the broker was slow, the client does not pay for that.
const MAX_REST = 100
// How many pages are read for one answer, if the client may not see all publications.
const MAX_READS = 10

/** `history`: a page of the publications that are kept, or only the newest position. */
export async function history(session: Session, command: CommandOf<'history'>): Promise<void> {
  const { channel, limit, since, reverse } = command.request
  const declared = findDeclared(session.services, channel)
  refuseWithoutBytes(session, declared.definition)
  if (declared.definition.history === undefined) throw new ChannelError(ERROR.notAvailable.code)
  await allowHistory(session, channel, declared, { limit, since, reverse })
  if (since?.offset === -1) throw new ChannelError(ERROR.unrecoverablePosition.code)
  const query = {
    limit: limit < 0 ? PAGE : Math.min(limit, PAGE),
    maxBytes: session.connection.settings.limits.buffered.hard,
    reverse,
    ...(since && { since })
  }
  const filter = session.subscriptions.get(channel)?.filter
  await answer(session, command, async () => {
    const { publications, position } = await readVisible(session, channel, query, filter)
    if (since !== undefined && since.epoch !== '' && since.epoch !== position.epoch) {
      throw new ChannelError(ERROR.unrecoverablePosition.code)
    }
    return { publications, position }
  })
}

/**
 * Reads a page of history. If the application set a filter for the client, publications that do not pass are left out,
 * and the page is filled from the following ones. The bytes that are left out count against the client's rate too.
 */
async function readVisible(
  session: Session,
  channel: string,
  query: HistoryQuery,
  filter: TagsFilter | undefined
): Promise<HistoryPage> {
  const { broker } = session.services
  const first = await broker.history(channel, query)
  if (filter === undefined) return first
  const visible: Publication[] = []
  let excluded = 0
  let page = first
  for (let reads = 1; page.position.epoch === first.position.epoch; reads++) {
    for (const publication of page.publications) {
      if (visible.length === query.limit) break
      if (filter(publication.tags)) visible.push(publication)
      else excluded += publication.data.length
    }
    const last = page.publications.at(-1)
    if (last === undefined || visible.length === query.limit || reads === MAX_READS) break
    page = await broker.history(channel, { ...query, since: { offset: last.offset, epoch: last.epoch } })
  }
  session.spend(excluded)
  return { publications: visible, position: first.position }
}

/**
 * Sends an answer that may be large. Such answers are made one after another: the size of each counts against the
 * client's rate, but is only known afterwards. Simultaneous answers could pass the rate by any amount.
 */
function answer<Name extends 'history' | 'presence'>(
  session: Session,
  command: CommandOf<Name>,
  ask: () => Promise<ResultsByCommand[Name]>
): Promise<void> {
  return session.lookups.run(async () => {
    if (session.connection.intake.indebted) throw new ChannelError(ERROR.tooManyRequests.code)
    const start = performance.now()
    const length = session.reply(command, await ask())
    session.spend(length)
    if (length > LARGE) await delay(Math.min(REST * (performance.now() - start), MAX_REST))
  })
}

/** `presence`: all connections in the channel's presence. */
export async function presence(session: Session, command: CommandOf<'presence'>): Promise<void> {
  const { channel } = command.request
  await allowPresence(session, channel, findPresent(session, channel))
  await answer(session, command, async () => {
    const entries = await session.services.broker.presence(channel)
    return { clients: entries.map(({ connection, info }) => [connection, info] as const) }
  })
}

/** `presence_stats`: the number of connections in the channel's presence, and the number of their users. */
export async function presenceStats(session: Session, command: CommandOf<'presence_stats'>): Promise<void> {
  const { channel } = command.request
  await allowPresence(session, channel, findPresent(session, channel))
  const { connections, users } = await session.services.broker.presenceStats(channel)
  session.reply(command, { clients: connections, users })
}

function findPresent(session: Session, channel: string): DeclaredChannel {
  const declared = findDeclared(session.services, channel)
  if (declared.definition.presenceTtl === undefined) throw new ChannelError(ERROR.notAvailable.code)
  return declared
}
