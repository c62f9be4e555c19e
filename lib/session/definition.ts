import type { FastifyRequest } from 'fastify'
import type { HistoryPolicy } from '../broker/broker.ts'
import type { CompiledValidator } from '../input/validator.ts'
import type { CallContext, ChannelHooks } from '../options/hooks.ts'

/** Runs the hooks of the scope that declared something, for a client's command; throws what that is refused with. */
export type ScopeGuard = (request: FastifyRequest) => Promise<void>

/** What an application has declared for the channels of one pattern. */
export interface ChannelDefinition {
  /** As it was declared, with the scope's prefix. */
  readonly pattern: string
  readonly history: HistoryPolicy | undefined
  /** Milliseconds after which a dead node's entries are gone; undefined for no presence. */
  readonly presenceTtl: number | undefined
  /** `always`: also subscribers that did not ask are sent who joins and who leaves. */
  readonly joinLeave: boolean | 'always'
  readonly token: boolean
  /** Which clients may publish, if `onPublish` agrees. */
  readonly publishers: 'subscribers' | 'clients'
  /** Whether clients are given their own publications. */
  readonly echo: boolean
  readonly hooks: ChannelHooks
  /** Hooks that clients were refused for the lack of, and that a line in the log has named. */
  readonly reported: Set<string>
  /** Set once all plugins are loaded, where the scope has hooks. */
  guard?: ScopeGuard
  /** Compiled once all plugins are loaded. */
  readonly validators: { params?: CompiledValidator; publication?: CompiledValidator }
}

/** What an application has declared for one method. */
export interface MethodDefinition {
  handler(context: CallContext): unknown
  /** Set once all plugins are loaded, where the scope has hooks. */
  guard?: ScopeGuard
  validator?: CompiledValidator
  /** Writes a result as JSON text. */
  serializer?: (value: unknown) => string
}

/** What a channel was declared with, and what stands in its name for the parameters of its pattern. */
export interface DeclaredChannel {
  readonly definition: ChannelDefinition
  readonly params: Readonly<Record<string, string>>
}
