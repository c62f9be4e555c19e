import type { Command, CommandName } from '../../protocol/commands.ts'
import type { SessionServices } from '../services.ts'
import type { Session, SessionCommands } from '../session.ts'
import { rpc, send } from './calls.ts'
import type { CommandOf } from './command.ts'
import { connect, refresh } from './connect.ts'
import { history, presence, presenceStats } from './lookups.ts'
import { publish } from './publish.ts'
import { subscribeByRequest } from './server-subscriptions.ts'
import { subRefresh, subscribe, unsubscribe } from './subscribe.ts'

/** Does what a command asks, and answers it; throws what it is refused with. `text` is the command as it came. */
export type CommandHandler<Name extends CommandName> = (
  session: Session,
  command: CommandOf<Name>,
  text: string
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
  session.reply(command, '{}')
}

/**
 * What a command waits for: those of one channel come one after another, so that publications keep their order and an
 * unsubscribe never overtakes its subscribe. Calls run beside each other, up to a bound.
 */
function laneOf(command: Command, { maxCalls }: SessionServices): { lane: string; concurrency: number } {
  if ('channel' in command.request) return { lane: command.request.channel, concurrency: 1 }
  // No channel has a control character in its name.
  return { lane: `\n${command.name}`, concurrency: command.name === 'rpc' ? maxCalls : 1 }
}

/** The commands of the protocol, for a session. */
export const COMMANDS: SessionCommands = {
  run: (session, command, text) => HANDLERS[command.name](session, command as never, text),
  laneOf,
  subscribe: subscribeByRequest
}
