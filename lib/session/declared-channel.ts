import { runValidator } from '../input/validator.ts'
import { ChannelError, ERROR } from '../protocol/channel-errors.ts'
import { isChannelName } from '../protocol/channel-name.ts'
import type { DeclaredChannel } from './definition.ts'

/** Finds the pattern that a channel's name matches. */
interface Patterns {
  findChannel(name: string): DeclaredChannel | undefined
}

/** Finds the declaration of a channel. Throws 107 if the name is not valid, and 102 if no pattern matches it. */
export function findDeclared(patterns: Patterns, channel: string): DeclaredChannel {
  if (!isChannelName(channel)) throw new ChannelError(ERROR.badRequest.code)
  const match = patterns.findChannel(channel)
  if (match === undefined) throw new ChannelError(ERROR.unknownChannel.code)
  const { definition, params } = match
  const validator = definition.validators.params
  if (validator === undefined) return { definition, params }
  const result = runValidator(validator, { ...params })
  if ('issues' in result) throw new ChannelError(ERROR.unknownChannel.code)
  return { definition, params: result.value as DeclaredChannel['params'] }
}
