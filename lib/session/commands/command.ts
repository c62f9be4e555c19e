import type { CommandName, RequestsByCommand } from '../../protocol/commands.ts'

/** A command as its function gets it. */
export interface CommandOf<Name extends CommandName> {
  readonly id: number
  readonly name: Name
  readonly request: RequestsByCommand[Name]
}
