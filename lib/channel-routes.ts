import type { FastifyInstance } from 'fastify'
import type { HistoryPolicy } from './broker/broker.ts'
import { boundsFault } from './channels/bounds.ts'
import type { ChannelDefinition, ChannelHooks } from './channels/definition.ts'
import { completeHistory, historyFault } from './channels/history-policy.ts'
import { ChannelPatterns, type PatternMatch } from './channels/patterns.ts'
import { InvalidChannelPatternError } from './errors.ts'
import type { ScopeHooks } from './scope-hooks.ts'
import type { CompiledValidator } from './socket/validator.ts'

/** The schemas of a channel, compiled at boot by the application's own validator compiler. */
export interface ChannelSchema {
  /** What the pattern's parameters must be; a name that doesn't match is that of no channel. */
  params?: unknown
  /** What clients may publish; past it the error 107. */
  publication?: unknown
}

/** How channels of one pattern behave. */
export interface ChannelOptions<Params = Readonly<Record<string, string>>, Data = unknown>
  extends ChannelHooks<Params, Data> {
  schema?: ChannelSchema
  /**
   * Publications that are kept, so that a client that was away can recover: at most `size` of them (1 to 100,000),
   * none older than `ttl` milliseconds (1,000 to 2,592,000,000), and at most `maxBytes` bytes of data together (1,024
   * to 1,073,741,824; 8,388,608 by default).
   * @default none
   */
  history?: HistoryPolicy
  /**
   * Whether it is known who is on the channel. `ttl` is how long the entries of a node that died are kept, in
   * milliseconds (1,000 to 3,600,000), 30,000 unless told.
   * @default false
   */
  presence?: boolean | { ttl?: number }
  /**
   * Whether clients on the channel that want to know (`join_leave`, in `centrifuge` the option `joinLeave`) are told who
   * comes and goes.
   * @default false
   */
  joinLeave?: boolean
  /**
   * Whether clients need a token for each subscription: verified like the connection's, with the claims `sub` (the
   * same user) and `channel` (the channel's name). The subscription expires with it.
   * @default false
   */
  token?: boolean
}

const PRESENCE_TTL = 30_000
const PRESENCE_BOUNDS = [1_000, 3_600_000] as const
const HOOKS = ['onSubscribe', 'onPublish', 'onUnsubscribe', 'onPresence', 'onHistory', 'onRefresh'] as const
const OPTIONS = new Set<string>(['schema', 'history', 'presence', 'joinLeave', 'token', ...HOOKS])
const SCHEMAS = ['params', 'publication'] as const

/** The channels that an application has declared. */
export class ChannelRoutes {
  readonly #patterns = new ChannelPatterns<ChannelDefinition>()
  #uncompiled: ((hooks: ScopeHooks) => void)[] = []
  #compiled = false

  /** @param app The scope that declares them. Throws `FST_RT_INVALID_CHANNEL_PATTERN`. */
  add(pattern: string, options: ChannelOptions, app?: FastifyInstance): void {
    if (typeof pattern !== 'string' || pattern === '') throw new InvalidChannelPatternError(String(pattern), 'name it')
    if (this.#compiled) throw new InvalidChannelPatternError(pattern, 'declare it before the application is ready')
    checkOptions(pattern, options)
    const definition = define(options, app)
    try {
      this.#patterns.add(pattern, definition)
    } catch (cause) {
      throw Object.assign(new InvalidChannelPatternError(pattern, (cause as Error).message), { cause })
    }
    this.#uncompiled.push((hooks) => {
      if (app !== undefined) definition.guard = hooks.guardOf(app)
    })
    for (const part of SCHEMAS) {
      const schema = options.schema?.[part]
      if (schema === undefined) continue
      this.#uncompiled.push(() => {
        definition.validators[part] = compile(app as FastifyInstance, pattern, part, schema)
      })
    }
  }

  /** Compiles the schemas and gathers the scopes' hooks, once all plugins are loaded. */
  compile(hooks: ScopeHooks): void {
    this.#compiled = true
    for (const compileNext of this.#uncompiled.splice(0)) compileNext(hooks)
  }

  find(channel: string): PatternMatch<ChannelDefinition> | undefined {
    return this.#patterns.find(channel)
  }

  historyOf(channel: string): HistoryPolicy | undefined {
    return this.find(channel)?.definition.history
  }
}

function define(options: ChannelOptions, app: unknown): ChannelDefinition {
  const { history, presence = false, joinLeave = false, token = false, ...rest } = options
  const hooks = Object.fromEntries(
    HOOKS.flatMap((name) => (rest[name] === undefined ? [] : [[name, (rest[name] as () => unknown).bind(app)]]))
  ) as ChannelHooks
  const { ttl = PRESENCE_TTL } = typeof presence === 'object' ? presence : {}
  const presenceTtl = presence === false ? undefined : ttl
  return { history: history && completeHistory(history), presenceTtl, joinLeave, token, hooks, validators: {} }
}

function checkOptions(pattern: string, options: ChannelOptions): void {
  const fail = (mend: string): never => {
    throw new InvalidChannelPatternError(pattern, mend)
  }
  if (typeof options !== 'object' || options === null) fail('give the options as an object')
  const { history, presence, joinLeave, token, schema } = options
  for (const name of Object.keys(options)) {
    if (!OPTIONS.has(name)) fail(`there is no option ${name}; ${[...OPTIONS].join(', ')} are`)
  }
  for (const name of HOOKS) {
    if (options[name] !== undefined && typeof options[name] !== 'function') fail(`make ${name} a function`)
  }
  for (const [name, value] of Object.entries({ joinLeave, token })) {
    if (value !== undefined && typeof value !== 'boolean') fail(`make ${name} true or false`)
  }
  if (schema !== undefined && (typeof schema !== 'object' || schema === null)) fail('make schema an object')
  for (const name of Object.keys(schema ?? {})) {
    if (!SCHEMAS.includes(name as 'params')) fail(`there is no schema.${name}; ${SCHEMAS.join(' and ')} are`)
  }
  const fault = history === undefined ? undefined : historyFault(history)
  if (fault !== undefined) fail(fault)
  if (presence === undefined || typeof presence === 'boolean') return
  if (typeof presence !== 'object' || presence === null) fail('make presence true, false or an object')
  const { ttl = PRESENCE_TTL } = presence
  const ttlFault = boundsFault('presence.ttl', ttl, PRESENCE_BOUNDS)
  if (ttlFault !== undefined) fail(ttlFault)
}

function compile(app: FastifyInstance, pattern: string, part: string, schema: unknown): CompiledValidator {
  try {
    const compiler = app.validatorCompiler as NonNullable<FastifyInstance['validatorCompiler']>
    // As bodies are: what isn't of the right type is refused, not converted as a URL's parts are.
    const httpPart = part === 'publication' ? 'body' : 'params'
    return compiler({ schema, method: 'POST', url: pattern, httpPart } as never) as unknown as CompiledValidator
  } catch (cause) {
    const mend = `schema.${part} does not compile: ${(cause as Error).message}`
    throw Object.assign(new InvalidChannelPatternError(pattern, mend), { cause })
  }
}

/** A scope's prefix stands before the names that it declares, as before its routes. */
export function withPrefix(app: FastifyInstance, name: string): string {
  const prefix = app.prefix.replace(/^\/|\/$/g, '')
  return prefix === '' ? name : `${prefix}/${name}`
}

/** Makes the decorator `app.channel`. `declared` is told of each. */
export function channelDecorator(routes: ChannelRoutes, declared: () => void) {
  return function channel(this: FastifyInstance, pattern: string, options: ChannelOptions = {}): FastifyInstance {
    if (typeof pattern === 'string' && pattern.startsWith('/')) {
      throw new InvalidChannelPatternError(pattern, 'leave out the slash at its beginning')
    }
    routes.add(typeof pattern === 'string' && pattern !== '' ? withPrefix(this, pattern) : pattern, options, this)
    declared()
    return this
  }
}
