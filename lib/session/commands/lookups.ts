import { setTimeout as delay } from 'node:timers/promises'
import { ChannelError, ERROR } from '../../protocol/channel-errors.ts'
import type { ResultsByCommand } from '../../protocol/results.ts'
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
  await answer(session, command, async () => {
    const { publications, position } = await session.services.broker.history(channel, query)
    if (since !== undefined && since.epoch !== '' && since.epoch !== position.epoch) {
      throw new ChannelError(ERROR.unrecoverablePosition.code)
    }
    return { publications, position }
  })
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
