import type { FastifyRequest } from 'fastify'
import type { HistoryPolicy } from '../broker/broker.ts'
import type { CompiledValidator } from '../input/validator.ts'
import type { CallContext, ChannelHooks } from '../options/hooks.ts'

/** Runs the hooks of the scope that declared something, for a client's command. Rejects if they refuse it. */
export type ScopeGuard = (request: FastifyRequest) => Promise<void>

/** What an application has declared for the channels of one pattern. */
export interface ChannelDefinition {
  /** The pattern as declared, with the prefix of its scope. */
  readonly pattern: string
  readonly history: HistoryPolicy | undefined
  /** Milliseconds after which the entries of a dead node are removed; undefined for no presence. */
  readonly presenceTtl: number | undefined
  /** `always`: subscribers receive joins and leaves even if they did not ask for them. */
  readonly joinLeave: boolean | 'always'
  readonly token: boolean
  /** Which clients may publish, if `onPublish` agrees. */
  readonly publishers: 'subscribers' | 'clients'
  /** Whether clients receive their own publications. */
  readonly echo: boolean
  readonly hooks: ChannelHooks
  /** Missing hooks for which clients were refused. Each is logged once. */
  readonly reported: Set<string>
  /** Set once all plugins are loaded, if the scope has hooks. */
  guard?: ScopeGuard
  /** Compiled once all plugins are loaded. */
  readonly validators: { params?: CompiledValidator; publication?: CompiledValidator }
}

/** What an application has declared for one method. */
export interface MethodDefinition {
  handler(context: CallContext): unknown
  /** Set once all plugins are loaded, if the scope has hooks. */
  guard?: ScopeGuard
  validator?: CompiledValidator
  /** Writes a result as JSON text. */
  serializer?: (value: unknown) => string
}

/** What a channel was declared with, and the parameters of its pattern as they stand in its name. */
export interface DeclaredChannel {
  readonly definition: ChannelDefinition
  readonly params: Readonly<Record<string, string>>
}
