import type { Command } from '../protocol/commands.ts'
import type { Message } from '../protocol/framing.ts'
import type { FilterNode } from '../protocol/tags-filter.ts'
import type { LaneRules, LaneSlot } from './lanes.ts'
import type { SessionServices } from './services.ts'

/** Carries out the clients' commands, and the application's requests for its clients. */
export interface SessionCommands<Client> {
  /**
   * Carries out a command, and answers it. Rejects with an error if the command is refused or fails.
   * @param source The command as the client sent it.
   * @param slot The command's slot in its lane.
   */
  run(session: Client, command: Command, source: Message, slot: LaneSlot): Promise<void>
  /** The lane of a command, and when the command may begin. */
  laneOf(command: Command, services: SessionServices): LaneRules
  /** Subscribes the client to a channel for the application. Never rejects. */
  subscribe(session: Client, channel: string, filter: FilterNode | undefined): Promise<void>
}
