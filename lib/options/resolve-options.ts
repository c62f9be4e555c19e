import { InvalidOptionError } from '../errors.ts'
import { assertPrefix } from '../input/key-prefix.ts'
import type { EndpointHooks } from './hooks.ts'
import {
  BOUNDS,
  DEFAULTS,
  type LimitOptions,
  type MetricsRegistry,
  type OriginMatcher,
  type Rate,
  type RealtimeOptions,
  type ResolvedAuth,
  type ResolvedOptions,
  type RouteOptions,
  type RouteSettings
} from './options.ts'
import { resolveEndpoints } from './resolve-endpoints.ts'

/*
 * Resolves the options of an application: checks every name and number, and adds the defaults. A wrong option is an
 * error that says how to fix it. It never silently becomes the default.
 */

// The only numbers that may be fractions.
const FRACTIONS = new Set(['limits.messages.rate', 'limits.userMessages.rate'])
// Options that are not in DEFAULTS.
const OPTIONAL = new Set([
  'auth.verify',
  'auth.authenticate',
  'channels.url',
  'channels.onConnect',
  'channels.onMessage'
])
const SOURCES = new Set<unknown>(['subprotocol', 'authorization', 'query', 'cookie'])
const LOG_CONNECTIONS = new Set<unknown>([false, 'debug', 'info'])
const REFUSALS = new Set<unknown>(['auto', 'http', 'close'])
// Options that `false` turns off.
const SWITCHABLE = new Set(['auth', 'channels.http', 'limits.messages', 'limits.bytes', 'limits.userMessages'])

// Limits that a route can't set.
const SERVER_LIMITS = ['connections', 'upgradeTimeout', 'publication', 'memoryHistory'] as const

/** Checks a registration's options and fills in the defaults. Throws `FST_RT_INVALID_OPTION`. */
export function resolveOptions(options: RealtimeOptions): ResolvedOptions {
  // fastify-plugin passes on Fastify's own options of register().
  const { redis, prefix, metrics, origins, logConnections, ...rest } = options as RealtimeOptions &
    Record<string, unknown>
  for (const own of ['logLevel', 'logSerializers', 'name']) delete rest[own]
  const defaults = { channels: DEFAULTS.channels, drain: DEFAULTS.drain, ...routeDefaults() }
  const { channels: given, ...others } = merge('', defaults, rest)
  const channels = resolveEndpoints(given)
  for (const hook of ['onConnect', 'onMessage'] as const) {
    const given = (channels as EndpointHooks)[hook]
    if (given !== undefined && typeof given !== 'function') fail(`channels.${hook}`, 'give a function')
  }
  if (prefix !== undefined) assertPrefix(prefix)
  if (redis !== undefined && (!redis || !['string', 'object'].includes(typeof redis))) {
    fail('redis', 'give a URL, ioredis options or an ioredis client')
  }
  if (metrics !== undefined && typeof (metrics as MetricsRegistry)?.registerMetric !== 'function') {
    fail('metrics', 'give a prom-client Registry')
  }
  if ((metrics as MetricsRegistry)?.getSingleMetric('realtime_connections') !== undefined) {
    fail('metrics', 'give each application a registry of its own: this one has the metrics of another')
  }
  if (logConnections !== undefined && !LOG_CONNECTIONS.has(logConnections)) {
    fail('logConnections', "give false, 'debug' or 'info'")
  }
  const { drain, ...settings } = others
  if (drain.timeout < drain.delay + drain.window) {
    fail('drain.timeout', 'make it at least drain.delay + drain.window, or connections are cut before their turn')
  }
  return {
    ...withOrigins(validated(settings), resolveOrigins(origins)),
    drain,
    channels,
    redis,
    prefix: prefix ?? DEFAULTS.prefix,
    metrics,
    logConnections: logConnections ?? DEFAULTS.logConnections
  }
}

/** The settings of a route: those of the registration, overridden by its `config.realtime`. */
export function resolveRoute(settings: RouteSettings, overrides: RouteOptions | undefined): RouteSettings {
  if (overrides === undefined) return settings
  const { origins, ...rest } = overrides as RouteOptions & Record<string, unknown>
  const limits = rest.limits as LimitOptions | undefined
  const ofServer = SERVER_LIMITS.find((name) => limits?.[name] !== undefined)
  if (ofServer !== undefined) {
    fail(`limits.${ofServer}`, 'it concerns the whole server: set it in the options of the plugin')
  }
  const { auth, heartbeat, limits: base } = settings
  return withOrigins(
    validated(merge('', { auth, heartbeat, limits: base }, rest)),
    origins === undefined ? settings.origins : resolveOrigins(origins)
  )
}

function routeDefaults() {
  const { auth, heartbeat, limits } = DEFAULTS
  return { auth: auth as ResolvedAuth | false, heartbeat, limits }
}

function fail(option: string, fix: string): never {
  throw new InvalidOptionError(option, fix)
}

/** Merges `overrides` into a copy of `base`, level by level, and checks every name and number. */
function merge<T extends object>(path: string, base: T, overrides: unknown): T {
  if (typeof overrides !== 'object' || overrides === null || Array.isArray(overrides)) {
    fail(path.slice(0, -1), 'give an object')
  }
  const result = { ...base } as Record<string, unknown>
  for (const [key, value] of Object.entries(overrides)) {
    const option = path + key
    if (!Object.hasOwn(result, key) && !OPTIONAL.has(option)) {
      fail(option, `unknown option; use one of ${Object.keys(base).join(', ')}`)
    }
    if (value !== undefined) result[key] = mergeValue(option, result[key], value)
  }
  return result as T
}

function mergeValue(option: string, base: unknown, value: unknown): unknown {
  const bounds = BOUNDS[option]
  if (bounds !== undefined) return checkNumber(option, value, bounds)
  if (value === false && SWITCHABLE.has(option)) return false
  if (base === false && SWITCHABLE.has(option)) {
    // The option was off. For `auth`, the defaults complete the value. A rate has no defaults, so it must be complete.
    return option === 'auth' ? merge('auth.', DEFAULTS.auth, value) : completeRate(option, value)
  }
  if (typeof base === 'object' && !Array.isArray(base)) return merge(`${option}.`, base as object, value)
  return value
}

function completeRate(option: string, value: unknown): object {
  const rate = merge<Partial<Rate>>(`${option}.`, { rate: undefined, burst: undefined }, value)
  if (rate.rate === undefined || rate.burst === undefined) fail(option, 'give both rate and burst')
  return rate
}

function checkNumber(option: string, value: unknown, [min, max, unit]: readonly [number, number, string]): number {
  const isWhole = FRACTIONS.has(option) || Number.isInteger(value) || value === Number.POSITIVE_INFINITY
  const isUnlimited = option.startsWith('limits.connections.') && value === Number.POSITIVE_INFINITY
  if (typeof value === 'number' && isWhole && value >= min && (value <= max || isUnlimited)) return value
  return fail(option, `give ${FRACTIONS.has(option) ? 'a number' : 'a whole number'} from ${min} to ${max} (${unit})`)
}

/** Makes the checks that `merge` does not make. */
function validated<T extends Omit<RouteSettings, 'origins'>>(settings: T): T {
  const { auth, heartbeat, limits } = settings
  if (typeof heartbeat.visible !== 'boolean') fail('heartbeat.visible', 'give true or false')
  if (limits.buffered.hard < limits.buffered.soft) fail('limits.buffered.hard', 'make it at least limits.buffered.soft')
  if (auth === false) return settings
  for (const callback of ['verify', 'authenticate'] as const) {
    if (auth[callback] !== undefined && typeof auth[callback] !== 'function')
      fail(`auth.${callback}`, 'give a function')
  }
  const isList = isListOf(auth.sources, (source) => SOURCES.has(source))
  if (!isList || (auth.sources.length === 0 && auth.authenticate === undefined)) {
    fail('auth.sources', 'list one or more of subprotocol, authorization, query, cookie, or give auth.authenticate')
  }
  if (!isListOf(auth.requiredClaims, (claim) => typeof claim === 'string')) {
    fail('auth.requiredClaims', 'list names of claims')
  }
  if (!REFUSALS.has(auth.refuse)) fail('auth.refuse', 'give auto, http or close')
  return settings
}

/**
 * Adds the origins to the settings. Throws if `'*'` is allowed and cookies authenticate clients: browsers send
 * cookies with the requests of any page, so only the origin distinguishes the application's own pages from others.
 */
function withOrigins<T extends Omit<RouteSettings, 'origins'>>(
  settings: T,
  origins: RouteSettings['origins']
): T & Pick<RouteSettings, 'origins'> {
  const { auth } = settings
  const isAmbient = auth !== false && (auth.authenticate !== undefined || auth.sources.includes('cookie'))
  if (isAmbient && origins?.includes('*')) {
    fail('origins', "name the origins: with cookies or auth.authenticate, '*' lets every page act as its visitor")
  }
  return { ...settings, origins }
}

function isListOf(value: unknown, test: (item: unknown) => boolean): boolean {
  return Array.isArray(value) && value.every(test)
}

function resolveOrigins(origins: RealtimeOptions['origins']): readonly OriginMatcher[] | undefined {
  if (origins === undefined) return undefined
  return (Array.isArray(origins) ? origins : [origins]).map((matcher) => {
    if (typeof matcher === 'function') return matcher
    // A global or sticky RegExp continues where the last match ended, so it would fail at every second test.
    if (matcher instanceof RegExp) return new RegExp(matcher.source, matcher.flags.replace(/[gy]/g, ''))
    if (matcher === '*') return matcher
    if (typeof matcher === 'string' && matcher.includes('*')) {
      fail('origins', 'an origin has no wildcard: give a RegExp, like /^https:\\/\\/[a-z]+\\.example\\.com$/')
    }
    const origin = typeof matcher === 'string' && URL.canParse(matcher) ? new URL(matcher).origin : 'null'
    return origin === 'null' ? fail('origins', "write an origin whole, like 'https://example.com'") : origin
  })
}
