import type { CommandName, RequestsByCommand } from '../../protocol/commands.ts'

/** A command, as its handler receives it. */
export interface CommandOf<Name extends CommandName> {
  readonly id: number
  readonly name: Name
  readonly request: RequestsByCommand[Name]
}
