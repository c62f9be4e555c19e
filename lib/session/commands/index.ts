import type { Command, CommandName } from '../../protocol/commands.ts'
import type { LaneRules, Place } from '../lanes.ts'
import type { SessionServices } from '../services.ts'
import type { Session, SessionCommands } from '../session.ts'
import { rpc, send } from './calls.ts'
import type { CommandOf } from './command.ts'
import { connect, refresh } from './connect.ts'
import { history, presence, presenceStats } from './lookups.ts'
import { publish } from './publish.ts'
import { subscribeByRequest } from './server-subscriptions.ts'
import { subRefresh, subscribe, unsubscribe } from './subscribe.ts'

/** Does what a command asks, and answers it. Rejects with what it is refused with. `text` is the command as it came. */
export type CommandHandler<Name extends CommandName> = (
  session: Session,
  command: CommandOf<Name>,
  text: string,
  place: Place
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
 * What a command waits for. Those of one channel come one after another, so that publications keep their order and an
 * unsubscribe never overtakes its subscribe. Only a publish does not wait for the answers to the publishes before it.
 * Calls run beside each other, up to a bound.
 */
function laneOf({ name, request }: Command, { maxCalls }: SessionServices): LaneRules {
  if ('channel' in request) return { name: request.channel, concurrency: 1, pipelined: name === 'publish' }
  // No channel has a control character in its name.
  return { name: `\n${name}`, concurrency: name === 'rpc' ? maxCalls : 1 }
}

/** The commands of the protocol, for a session. */
export const COMMANDS: SessionCommands = {
  run: (session, command, text, place) => HANDLERS[command.name](session, command as never, text, place),
  laneOf,
  subscribe: subscribeByRequest
}
