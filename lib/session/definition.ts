import type { FastifyRequest } from 'fastify'
import type { HistoryPolicy } from '../broker/broker.ts'
import type { CompiledValidator } from '../input/validator.ts'
import type { CallContext, ChannelHooks } from '../options/hooks.ts'

/**
 * Runs the hooks of the Fastify scope in which a channel or method was declared, for a client's command. Rejects if
 * they refuse the command.
 */
export type ScopeGuard = (request: FastifyRequest) => Promise<void>

/** The declaration of the channels of one pattern. */
export interface ChannelDefinition {
  /** The pattern, with the prefix of its scope. */
  readonly pattern: string
  readonly history: HistoryPolicy | undefined
  /** Milliseconds after which the entries of a dead node are removed. Undefined if the channels have no presence. */
  readonly presenceTtl: number | undefined
  /** `always`: subscribers receive joins and leaves even if they do not ask for them. */
  readonly joinLeave: boolean | 'always'
  readonly token: boolean
  /** Which clients may publish, if `onPublish` agrees. */
  readonly publishers: 'subscribers' | 'clients'
  /** Whether clients receive their own publications. */
  readonly echo: boolean
  /** Whether clients may ask for deltas. */
  readonly delta: boolean
  /** Whether clients may filter by tags. */
  readonly filters: boolean
  /** What a client that asks for the publications that it missed receives: all of them, or the newest one. */
  readonly recover: 'missed' | 'latest'
  /** Whether publications are bytes, and not JSON. */
  readonly binary: boolean
  readonly hooks: ChannelHooks
  /** The missing hooks for which clients were refused. Each is logged once. */
  readonly reported: Set<string>
  /** Set once all plugins are loaded, if the scope has hooks. */
  guard?: ScopeGuard
  /** Compiled once all plugins are loaded. */
  readonly validators: { params?: CompiledValidator; publication?: CompiledValidator }
}

/** The declaration of one method. */
export interface MethodDefinition {
  handler(context: CallContext): unknown
  /** Set once all plugins are loaded, if the scope has hooks. */
  guard?: ScopeGuard
  validator?: CompiledValidator
  /** Writes a result as JSON text. */
  serializer?: (value: unknown) => string
}

/** The declaration of a channel, and the values that its name has for the parameters of the pattern. */
export interface DeclaredChannel {
  readonly definition: ChannelDefinition
  readonly params: Readonly<Record<string, string>>
}
