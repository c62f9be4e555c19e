import type { FastifyInstance } from 'fastify'
import { InvalidChannelError, InvalidChannelPatternError, InvalidOptionError } from '../errors.ts'
import { runValidator } from '../input/validator.ts'
import { isChannelName } from '../protocol/channel-name.ts'
import type { ChannelDefinition } from '../session/definition.ts'
import { type ChannelOptions, checkChannelOptions, defineChannel, SCHEMAS } from './channel-options.ts'
import { fillPattern } from './pattern-path.ts'
import { ChannelPatterns, type PatternMatch } from './patterns.ts'
import { SchemaCompiler } from './schema-compiler.ts'
import type { ScopeHooks } from './scope-hooks.ts'

type Params = Readonly<Record<string, unknown>>

/** The channels that an application has declared. */
export class ChannelRoutes {
  readonly #patterns = new ChannelPatterns<ChannelDefinition>()
  readonly #declared = new Map<string, ChannelDefinition>()
  #uncompiled: ((hooks: ScopeHooks) => void)[] = []
  #compiled = false

  /**
   * Declares the channels of a pattern. Throws `FST_RT_INVALID_CHANNEL_PATTERN` or `FST_RT_INVALID_OPTION`.
   * @param app The scope that declares them.
   */
  add(pattern: string, options: ChannelOptions, app?: FastifyInstance): void {
    if (typeof pattern !== 'string' || pattern === '') throw new InvalidChannelPatternError(String(pattern), 'name it')
    if (this.#compiled) throw new InvalidChannelPatternError(pattern, 'declare it before the application is ready')
    checkChannelOptions(pattern, options)
    const definition = defineChannel(pattern, options, app)
    try {
      this.#patterns.add(pattern, definition)
    } catch (cause) {
      throw Object.assign(new InvalidChannelPatternError(pattern, (cause as Error).message), { cause })
    }
    this.#declared.set(pattern, definition)
    this.#uncompiled.push((hooks) => {
      if (app !== undefined) definition.guard = hooks.guardOf(app)
    })
    for (const part of SCHEMAS) {
      const schema = options.schema?.[part]
      if (schema === undefined) continue
      this.#uncompiled.push(() => {
        const refuse = (fix: string) => new InvalidChannelPatternError(pattern, fix)
        const compiler = new SchemaCompiler(app as FastifyInstance, { method: 'POST', url: pattern }, refuse)
        definition.validators[part] = compiler.validator(part, schema, part === 'publication' ? 'body' : 'params')
      })
    }
  }

  /** Compiles the schemas and collects the hooks of the scopes, after all plugins are loaded. */
  compile(hooks: ScopeHooks): void {
    this.#compiled = true
    for (const compileNext of this.#uncompiled.splice(0)) compileNext(hooks)
  }

  find(channel: string): PatternMatch<ChannelDefinition> | undefined {
    return this.#patterns.find(channel)
  }

  /**
   * The channel name of a pattern with these parameters. Throws `FST_RT_INVALID_CHANNEL` if the name is invalid, or if
   * it matches another pattern: a parameter from a URL may contain a slash, or be a static part of another pattern.
   */
  name(pattern: string, params: Params): string {
    const definition = this.#declared.get(pattern)
    if (definition === undefined) throw new InvalidChannelPatternError(pattern, this.#fixFor(pattern))
    const name = fillPattern(pattern, params)
    const match = isChannelName(name) ? this.find(name) : undefined
    if (match?.definition !== definition || !isSame(match.params, params)) throw new InvalidChannelError()
    const { params: validator } = definition.validators
    if (validator !== undefined && 'issues' in runValidator(validator, match.params)) throw new InvalidChannelError()
    return name
  }

  /** The fix for a pattern that is not declared. Another scope may have declared it, with the prefix of that scope. */
  #fixFor(pattern: string): string {
    const end = `/${String(pattern).replace(/^\//, '')}`
    const similar = this.patterns.find((declared) => `/${declared}`.endsWith(end))
    return similar === undefined ? 'declare it with app.channel' : `it is declared as ${similar}: give that`
  }

  get patterns(): string[] {
    return [...this.#declared.keys()]
  }

  /** True if exactly this pattern was declared. */
  has(pattern: string): boolean {
    return this.#declared.has(pattern)
  }
}

function isSame(found: Params, given: Params): boolean {
  return Object.keys(found).every((key) => found[key] === undefined || found[key] === String(given[key]))
}

/** Adds the prefix of a scope to a name that it declares, as Fastify does with routes. */
export function withPrefix(app: FastifyInstance, name: string): string {
  const prefix = app.prefix.replace(/^\/|\/$/g, '')
  return prefix === '' ? name : `${prefix}/${name}`
}

/**
 * Makes the decorator `app.channel`. It calls `declared` for each pattern.
 * @param tokenFault Why no channel can have the option `token`. Undefined if channels can have it.
 */
export function channelDecorator(routes: ChannelRoutes, declared: () => void, tokenFault: string | undefined) {
  return function channel(this: FastifyInstance, pattern: string, options: ChannelOptions = {}): FastifyInstance {
    if (typeof pattern === 'string' && pattern.startsWith('/')) {
      throw new InvalidChannelPatternError(pattern, 'leave out the slash at its beginning')
    }
    if (options?.token === true && tokenFault !== undefined) {
      throw new InvalidOptionError('token', `${tokenFault} (app.channel ${pattern})`)
    }
    const isPrefixed = typeof pattern === 'string' && pattern !== '' && options?.prefix !== false
    routes.add(isPrefixed ? withPrefix(this, pattern) : pattern, options, this)
    declared()
    return this
  }
}

/** Makes the decorator `app.channelName`. It tries the pattern with the prefix of the scope first, then without it. */
export function channelNameDecorator(routes: ChannelRoutes) {
  return function channelName(this: FastifyInstance, pattern: string, params: Params = {}): string {
    const own = withPrefix(this, pattern)
    return routes.name(routes.has(own) ? own : pattern, params)
  }
}
