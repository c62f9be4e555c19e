import type { HistoryPolicy } from '../broker/broker.ts'
import { completeHistory, historyFault } from '../broker/history-policy.ts'
import { InvalidOptionError } from '../errors.ts'
import { boundsFault } from '../input/bounds.ts'
import type { ChannelHooks } from '../options/hooks.ts'
import type { ChannelDefinition } from '../session/definition.ts'

/** The schemas of a channel. The application's own validator compiler compiles them when the application starts. */
export interface ChannelSchema {
  /** The parameters of the pattern. If a name does not match, there is no such channel. */
  params?: unknown
  /**
   * The data that clients may publish. If the data does not match, the answer is the error 107. The schema is handled
   * like that of a body: Fastify's default compiler converts types (`"5"` to 5 for a number), as on `app.ws` routes,
   * and the result is published.
   */
  publication?: unknown
}

/** The options of the channels of one pattern. */
export interface ChannelOptions<Params = Readonly<Record<string, string>>, Data = unknown>
  extends ChannelHooks<Params, Data> {
  schema?: ChannelSchema | undefined
  /**
   * The publications that are kept, so that a client that was offline can recover: at most `size` publications (1 to
   * 100,000), none older than `ttl` milliseconds (1,000 to 2,592,000,000), and together at most `maxBytes` bytes of
   * data (1,024 to 1,073,741,824; 8,388,608 by default).
   * @default none
   */
  history?: HistoryPolicy | undefined
  /**
   * Whether the channel keeps a list of its clients. If a node dies, its entries are kept for `ttl` milliseconds (1,000
   * to 3,600,000; 30,000 by default).
   * @default false
   */
  presence?: boolean | { ttl?: number | undefined } | undefined
  /**
   * Whether subscribers get a `join` and a `leave` when a client joins and leaves. With `true`, subscribers get them if
   * they request it (`join_leave`, in `centrifuge` the option `joinLeave`). With `'always'`, all subscribers get them.
   * A client that `onPresence` refuses gets neither.
   * @default false
   */
  joinLeave?: boolean | 'always' | undefined
  /**
   * Whether clients need a token for each subscription. It is verified like the token of the connection, and must have
   * the claims `sub` (the same user) and `channel` (the channel's name). The subscription expires with the token. This
   * option requires `auth.verify` or @fastify/jwt.
   * @default false
   */
  token?: boolean | undefined
  /**
   * Which clients may publish, if `onPublish` allows it: clients that are subscribed to the channel, or all connected
   * clients.
   * @default 'subscribers'
   */
  publishers?: 'subscribers' | 'clients' | undefined
  /**
   * Whether a client that publishes gets its own publication, like the other subscribers. `onPublish` may override this
   * for one publication.
   * @default true
   */
  echo?: boolean | undefined
  /**
   * Whether clients may ask for deltas (`delta: 'fossil'`): instead of each whole publication they receive what has
   * changed since the one before it. Use it if publications are large and resemble each other.
   * @default false
   */
  delta?: boolean | undefined
  /**
   * Whether clients may filter by the tags of publications (`tf`, in `centrifuge` the option `tagsFilter`). If not, a
   * client with a filter is refused (107). A filter that `onSubscribe` returns does not need this option.
   * @default false
   */
  filters?: boolean | undefined
  /**
   * What a client receives that asks for the publications that it missed. `'missed'`: all of them, or none if some are
   * no longer kept. `'latest'`: only the newest one, whatever the client has missed; for channels whose publications
   * each have the whole state. `'latest'` requires `history`, usually with the `size` 1.
   * @default 'missed'
   */
  recover?: 'missed' | 'latest' | undefined
  /**
   * Whether publications are bytes, and not JSON values. Then `publish` takes a `Uint8Array`, and only clients that use
   * Protobuf can subscribe and publish. JSON clients get the error 108. Sockets of `app.ws` routes get
   * `FST_RT_INVALID_CHANNEL`. Such a channel has no `schema.publication`.
   * @default false
   */
  binary?: boolean | undefined
  /**
   * Whether the channels' names begin with the prefix of the scope.
   * @default true
   */
  prefix?: boolean | undefined
}

const PRESENCE_TTL = 30_000
const PRESENCE_BOUNDS = [1_000, 3_600_000] as const
/** If one of these hooks is missing, clients have no permission for that action. All other hooks are optional. */
const REQUIRED = ['onSubscribe', 'onPublish'] as const
const HOOKS = [...REQUIRED, 'onUnsubscribe', 'onPresence', 'onHistory', 'onRefresh'] as const
const OPTIONS = new Set<string>([
  'schema',
  'history',
  'presence',
  'joinLeave',
  'token',
  'publishers',
  'echo',
  'delta',
  'filters',
  'recover',
  'binary',
  'prefix',
  ...HOOKS
])
export const SCHEMAS = ['params', 'publication'] as const
/** The options with a fixed set of values. */
const VALUES: Readonly<Record<string, readonly unknown[]>> = {
  joinLeave: [true, false, 'always'],
  token: [true, false],
  publishers: ['subscribers', 'clients'],
  echo: [true, false],
  delta: [true, false],
  filters: [true, false],
  recover: ['missed', 'latest'],
  binary: [true, false],
  prefix: [true, false]
}

/** Throws `FST_RT_INVALID_OPTION`, which says how to fix it. */
export function checkChannelOptions(pattern: string, options: ChannelOptions): void {
  const fail = (option: string, fix: string): never => {
    throw new InvalidOptionError(option, `${fix} (app.channel ${pattern})`)
  }
  if (typeof options !== 'object' || options === null) fail('options', 'give an object')
  for (const name of Object.keys(options)) {
    if (!OPTIONS.has(name)) fail(name, `unknown option; use one of ${[...OPTIONS].join(', ')}`)
  }
  for (const name of HOOKS) {
    const hook: unknown = options[name]
    if (hook === undefined || typeof hook === 'function') continue
    if (!REQUIRED.includes(name as 'onSubscribe')) fail(name, 'give a function, or leave it out')
    if (hook !== true) fail(name, 'give a function, or true for every connected client, or leave it out to refuse all')
  }
  for (const [name, values] of Object.entries(VALUES)) {
    const value = options[name as keyof ChannelOptions]
    if (value === undefined || values.includes(value)) continue
    fail(name, `give ${values.map((one) => (typeof one === 'string' ? `'${one}'` : one)).join(' or ')}`)
  }
  const { history, presence, schema } = options
  if (schema !== undefined && (typeof schema !== 'object' || schema === null)) fail('schema', 'give an object')
  for (const name of Object.keys(schema ?? {})) {
    if (!SCHEMAS.includes(name as 'params'))
      fail(`schema.${name}`, `there is no such schema; ${SCHEMAS.join(' and ')} exist`)
  }
  if (options.binary && schema?.publication !== undefined) {
    fail('schema.publication', 'leave it out: with binary, publications are bytes')
  }
  const fault = history === undefined ? undefined : historyFault(history)
  if (fault !== undefined) fail('history', fault)
  if (options.recover === 'latest' && history === undefined) fail('recover', "'latest' requires the option history")
  if (presence === undefined || typeof presence === 'boolean') return
  if (typeof presence !== 'object' || presence === null) fail('presence', 'give true, false or an object')
  const { ttl = PRESENCE_TTL } = presence
  const ttlFault = boundsFault('presence.ttl', ttl, PRESENCE_BOUNDS)
  if (ttlFault !== undefined) fail('presence', ttlFault)
}

/** Makes the definition of a channel. Its hooks are bound to the scope that declares it. */
export function defineChannel(pattern: string, options: ChannelOptions, scope: unknown): ChannelDefinition {
  const {
    history,
    presence = false,
    joinLeave = false,
    token = false,
    publishers = 'subscribers',
    echo = true,
    delta = false,
    filters = false,
    recover = 'missed',
    binary = false
  } = options
  const hooks: Record<string, unknown> = {}
  for (const name of HOOKS) {
    const hook = options[name] as true | (() => unknown) | undefined
    if (hook !== undefined) hooks[name] = hook === true ? true : hook.bind(scope)
  }
  const { ttl = PRESENCE_TTL } = typeof presence === 'object' ? presence : {}
  return {
    pattern,
    history: history && completeHistory(history),
    presenceTtl: presence === false ? undefined : ttl,
    joinLeave,
    token,
    publishers,
    echo,
    delta,
    filters,
    recover,
    binary,
    hooks: hooks as ChannelHooks,
    reported: new Set(),
    validators: {}
  }
}
