import type { Command, CommandName } from '../../protocol/commands.ts'
import type { Message } from '../../protocol/framing.ts'
import type { LaneRules, LaneSlot } from '../lanes.ts'
import type { SessionServices } from '../services.ts'
import type { Session } from '../session.ts'
import type { SessionCommands } from '../session-commands.ts'
import { rpc, send } from './calls.ts'
import type { CommandOf } from './command.ts'
import { connect, refresh } from './connect.ts'
import { history, presence, presenceStats } from './lookups.ts'
import { publish } from './publish.ts'
import { subscribeByRequest } from './server-subscriptions.ts'
import { subRefresh, subscribe, unsubscribe } from './subscribe.ts'

/**
 * Carries out a command, and answers it. Rejects with an error if the command is refused or fails.
 * @param source The command as the client sent it.
 */
export type CommandHandler<Name extends CommandName> = (
  session: Session,
  command: CommandOf<Name>,
  source: Message,
  slot: LaneSlot
) => Promise<void>

const HANDLERS: { readonly [Name in CommandName]: CommandHandler<Name> } = {
  connect,
  refresh,
  subscribe,
  unsubscribe,
  sub_refresh: subRefresh,
  publish,
  history,
  presence,
  presence_stats: presenceStats,
  rpc,
  send,
  ping
}

async function ping(session: Session, command: CommandOf<'ping'>): Promise<void> {
  session.reply(command, {})
}

/**
 * The lane of a command. The commands of one channel run one after another, so that publications keep their order and
 * an `unsubscribe` never overtakes its `subscribe`. Only a `publish` does not wait for the answers to the publishes
 * before it. Up to `maxCalls` calls run at the same time.
 */
function laneOf({ name, request }: Command, { maxCalls }: SessionServices): LaneRules {
  if ('channel' in request) return { name: request.channel, concurrency: 1, pipelined: name === 'publish' }
  // A channel's name has no control character, so this is the name of no channel's lane.
  return { name: `\n${name}`, concurrency: name === 'rpc' ? maxCalls : 1 }
}

/** The commands of the protocol, for a session. */
export const COMMANDS: SessionCommands<Session> = {
  run: (session, command, source, slot) => HANDLERS[command.name](session, command as never, source, slot),
  laneOf,
  subscribe: subscribeByRequest
}
