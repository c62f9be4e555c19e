import type { FastifyRequest } from 'fastify'
import type { Cluster, Redis, RedisOptions } from 'ioredis'
import type { Claims } from './claims.ts'
import type { EndpointHooks } from './hooks.ts'

export type { Claims } from './claims.ts'

/** What is needed of a prom-client `Registry`: the types hold without prom-client too, which is optional. */
export interface MetricsRegistry {
  registerMetric(metric: never): void
  getSingleMetric(name: string): unknown
}

/** Where a token may stand in a handshake. */
export type TokenSource = 'subprotocol' | 'authorization' | 'query' | 'cookie'

export interface AuthOptions {
  /**
   * Where a token is looked for, in this order: the subprotocol offer, the `Authorization: Bearer` header,
   * `?access_token=` (`'query'`; redacted in `request.url`), the cookie that `@fastify/jwt` was registered with
   * (`'cookie'`). May be empty if `authenticate` is given.
   * @default ['subprotocol', 'authorization']
   */
  sources?: TokenSource[] | undefined
  /** Verifies a token in place of `@fastify/jwt`: returns its claims or throws. */
  verify?: ((token: string, request: FastifyRequest) => Claims | Promise<Claims>) | undefined
  /**
   * Says who a client is if its handshake offers no token, by a session cookie for example: returns claims, or
   * undefined to refuse with 401. With it alone, `@fastify/jwt` is not needed.
   */
  authenticate?: ((request: FastifyRequest) => Claims | undefined | Promise<Claims | undefined>) | undefined
  /**
   * Claims without which a client is refused.
   * @default ['sub', 'exp'] for a token, ['sub'] for `authenticate`
   */
  requiredClaims?: string[] | undefined
  /**
   * How a handshake is refused whose fault the page's own code can mend: `'http'` with a status, `'close'` with a
   * close code right after the 101, `'auto'` with a close code where an Origin header says that it is a browser,
   * which sees every HTTP refusal as 1006.
   * @default 'auto'
   */
  refuse?: 'auto' | 'http' | 'close' | undefined
  /**
   * Milliseconds that a connection of the channel protocol may stay unauthenticated, 100 to 600,000.
   * @default 10000
   */
  timeout?: number | undefined
}

export type OriginMatcher = string | RegExp | ((origin: string, request: FastifyRequest) => boolean | Promise<boolean>)

export interface HeartbeatOptions {
  /**
   * Milliseconds between two pings of one connection, give or take 10 %, 50 to 86,400,000.
   * @default 25000
   */
  interval?: number | undefined
  /**
   * Milliseconds without a pong or any other frame after which a connection is terminated, 50 to 86,400,000.
   * @default 10000
   */
  timeout?: number | undefined
  /**
   * On `app.ws` routes, also send `{"ping":<ms>}` as text where nothing else was sent since the last ping: browser
   * code can't see ping frames.
   * @default false
   */
  visible?: boolean | undefined
}

/** A token bucket: `rate` a second on average, `burst` at once. */
export interface Rate {
  /** Tokens a second, 0.001 to 1,000,000. */
  rate: number
  /** Tokens at most, 1 to 1,000,000. */
  burst: number
}

/** A token bucket of bytes: `rate` a second on average, `burst` at once. */
export interface ByteRate {
  /** Bytes a second, 1 to 1,099,511,627,776. */
  rate: number
  /** Bytes at once, 1 to 1,099,511,627,776. */
  burst: number
}

export interface LimitOptions {
  /**
   * Bytes of one message, 1 to 2,147,483,647; past it close 1009.
   * @default 1048576
   */
  maxPayload?: number | undefined
  /**
   * Fragments of one message, 1 to 2,147,483,647; past it close 1008.
   * @default 1024
   */
  maxFragments?: number | undefined
  /**
   * Chunks buffered for one message, 1 to 2,147,483,647; past it close 1008.
   * @default 4096
   */
  maxBufferedChunks?: number | undefined
  /**
   * Levels of arrays and objects in a JSON message, 1 to 500; past it the error `too_deep`.
   * @default 64
   */
  maxDepth?: number | undefined
  /**
   * Bytes of one publication's data as JSON, 1 to 536,870,912, whoever publishes. Past it a publish rejects with
   * `FST_RT_PUBLICATION_TOO_LARGE`, and a client of the channel protocol gets the error 106. Not per route.
   * @default 1048576
   */
  publication?: number | undefined
  /**
   * Messages of one connection. Past it the message is dropped with the error `rate_limited`; after 2,000 such
   * messages the connection is closed with 4429. One of them is forgiven every 50 ms.
   * @default { rate: 100, burst: 200 }
   */
  messages?: Rate | false | undefined
  /**
   * Bytes of one connection: its messages, and the large answers that its commands ask for (history, presence,
   * recovery). Passing it means the same as passing `messages`.
   * @default { rate: 8388608, burst: 16777216 }
   */
  bytes?: ByteRate | false | undefined
  /**
   * Messages of one user over all nodes; past it the error `rate_limited`.
   * @default false
   */
  userMessages?: Rate | false | undefined
  /**
   * Messages waiting for the handler, 1 to 65,536; past it the socket isn't read until the handler catches up.
   * @default 64
   */
  maxQueue?: number | undefined
  /** Bytes waiting for a slow reader. */
  buffered?:
    | {
        /**
         * Bytes, 1,024 to 1,073,741,824; past it publications are dropped, the oldest first, or left to history.
         * @default 65536
         */
        soft?: number | undefined
        /**
         * Bytes, at least `soft`, to 1,073,741,824; past it close 4008.
         * @default 1048576
         */
        hard?: number | undefined
      }
    | undefined
  /** Connections at a time, 1 to 2,147,483,647 each; none means no limit. Not per route. */
  connections?:
    | {
        /**
         * Of this process; past it 503.
         * @default Infinity
         */
        total?: number | undefined
        /**
         * Of one user; past it 429 or close 4409.
         * @default Infinity
         */
        perUser?: number | undefined
        /**
         * Of one remote address; past it 503.
         * @default Infinity
         */
        perAddress?: number | undefined
      }
    | undefined
  /**
   * Channels that one connection is subscribed to, 1 to 1,000,000; past it an error.
   * @default 128
   */
  subscriptions?: number | undefined
  /**
   * Bytes of memory for everything that is remembered of channels if there is no `redis`: histories, positions and
   * idempotency keys, 1,024 to 1,099,511,627,776. Past it the least recently used channels lose their oldest
   * publications, and clients that ask for them are told so. Not per route.
   * @default 268435456
   */
  memoryHistory?: number | undefined
  /**
   * Milliseconds from the request for an upgrade to the 101, hooks included, 50 to 600,000; past it 503.
   * @default 10000
   */
  upgradeTimeout?: number | undefined
}

export interface DrainOptions {
  /**
   * Milliseconds between "not ready" and the first close, 0 to 600,000: time for a load balancer to notice.
   * @default 0
   */
  delay?: number | undefined
  /**
   * Milliseconds over which the closes are spread, 0 to 3,600,000.
   * @default 15000
   */
  window?: number | undefined
  /**
   * Milliseconds from the start of the drain after which what is left is terminated, 100 to 7,200,000.
   * @default 25000
   */
  timeout?: number | undefined
}

/** Level of the line at the end of each connection. */
export type LogConnections = false | 'debug' | 'info'

export interface RealtimeOptions {
  /** URL, ioredis options, or an ioredis client, which stays the caller's. None: one process, in memory. */
  redis?: string | RedisOptions | Redis | Cluster | undefined
  // Without `undefined`, as in Fastify's own option of that name: `register` takes no object of this type otherwise.
  /**
   * First part of every Redis key and channel name, 1 to 64 characters of `A-Z a-z 0-9 _ . -`.
   * @default 'realtime'
   */
  prefix?: string
  /** Authentication at the handshake; `false` accepts anonymous connections. */
  auth?: AuthOptions | false | undefined
  /**
   * Origins that browsers may connect from: strings (`'https://example.com'`, `'*'` for any), RegExps or functions.
   * Requests without an Origin header don't come from browsers, and pass.
   * @default the request's own host
   */
  origins?: OriginMatcher | OriginMatcher[] | undefined
  heartbeat?: HeartbeatOptions | undefined
  limits?: LimitOptions | undefined
  drain?: DrainOptions | undefined
  channels?:
    | {
        /**
         * Where the channel protocol is spoken.
         * @default '/connection/websocket'
         */
        url?: string | undefined
        /**
         * Calls (`app.rpc`) of one connection that run at a time, 1 to 1,024; the others wait.
         * @default 16
         */
        maxCalls?: number | undefined
        /**
         * Milliseconds that a hook of a channel or a handler of a call may take, 100 to 600,000; past it the client gets
         * the error 100.
         * @default 30000
         */
        hookTimeout?: number | undefined
        /** A client has shown who it is: describes it, subscribes it, or throws to refuse it. */
        onConnect?: EndpointHooks['onConnect'] | undefined
        /** Takes the messages that clients send without waiting for an answer; none: such clients are disconnected. */
        onMessage?: EndpointHooks['onMessage'] | undefined
      }
    | undefined
  /** The prom-client registry to fill; never the global default one. */
  metrics?: MetricsRegistry | undefined
  /**
   * Level of one log line at the end of each connection: with what code and by whom it was closed, its age, its counts
   * and its last round trip. `false` writes none.
   * @default false
   */
  logConnections?: LogConnections | undefined
}

/** What a route may set for itself, in `config.realtime`. */
export interface RouteOptions {
  auth?: AuthOptions | false | undefined
  heartbeat?: HeartbeatOptions | undefined
  limits?: Omit<LimitOptions, 'connections' | 'upgradeTimeout' | 'publication' | 'memoryHistory'> | undefined
  origins?: OriginMatcher | OriginMatcher[] | undefined
}

type Complete<T> = T extends (...args: never) => unknown
  ? T
  : T extends object
    ? { readonly [K in keyof T]-?: Complete<Exclude<T[K], undefined>> }
    : T

export type ResolvedAuth = Omit<Required<AuthOptions>, 'verify' | 'authenticate'> &
  Pick<AuthOptions, 'verify' | 'authenticate'>
export type ResolvedHeartbeat = Complete<HeartbeatOptions>
export type ResolvedLimits = Complete<LimitOptions>
export type ResolvedDrain = Complete<DrainOptions>

/** What a route goes by. */
export interface RouteSettings {
  readonly auth: ResolvedAuth | false
  readonly heartbeat: ResolvedHeartbeat
  readonly limits: ResolvedLimits
  /** Undefined: the request's own host. */
  readonly origins: readonly OriginMatcher[] | undefined
}

export interface ResolvedOptions extends RouteSettings {
  readonly redis: RealtimeOptions['redis']
  readonly prefix: string
  readonly drain: ResolvedDrain
  readonly channels: { readonly url: string; readonly maxCalls: number; readonly hookTimeout: number } & EndpointHooks
  readonly metrics: MetricsRegistry | undefined
  readonly logConnections: LogConnections
}

/** The defaults, once. `docs/options.md` is tested against them. */
export const DEFAULTS = {
  prefix: 'realtime',
  auth: {
    sources: ['subprotocol', 'authorization'],
    requiredClaims: ['sub', 'exp'],
    refuse: 'auto',
    timeout: 10_000
  } as ResolvedAuth,
  heartbeat: { interval: 25_000, timeout: 10_000, visible: false } as ResolvedHeartbeat,
  limits: {
    maxPayload: 1_048_576,
    maxFragments: 1_024,
    maxBufferedChunks: 4_096,
    maxDepth: 64,
    publication: 1_048_576,
    messages: { rate: 100, burst: 200 },
    bytes: { rate: 8_388_608, burst: 16_777_216 },
    userMessages: false,
    maxQueue: 64,
    buffered: { soft: 65_536, hard: 1_048_576 },
    connections: {
      total: Number.POSITIVE_INFINITY,
      perUser: Number.POSITIVE_INFINITY,
      perAddress: Number.POSITIVE_INFINITY
    },
    subscriptions: 128,
    memoryHistory: 268_435_456,
    upgradeTimeout: 10_000
  } as ResolvedLimits,
  drain: { delay: 0, window: 15_000, timeout: 25_000 } as ResolvedDrain,
  channels: { url: '/connection/websocket', maxCalls: 16, hookTimeout: 30_000 },
  logConnections: false as LogConnections
}

const MAX_INT = 2 ** 31 - 1
const GIB = 2 ** 30
const TIB = 2 ** 40
const DAY = 86_400_000

/** Least and most of every number, with its unit. */
export const BOUNDS: Readonly<Record<string, readonly [least: number, most: number, unit: string]>> = {
  'auth.timeout': [100, 600_000, 'ms'],
  'heartbeat.interval': [50, DAY, 'ms'],
  'heartbeat.timeout': [50, DAY, 'ms'],
  'limits.maxPayload': [1, MAX_INT, 'bytes'],
  'limits.maxFragments': [1, MAX_INT, 'fragments'],
  'limits.maxBufferedChunks': [1, MAX_INT, 'chunks'],
  'limits.maxDepth': [1, 500, 'levels'],
  'limits.publication': [1, GIB / 2, 'bytes'],
  'limits.messages.rate': [0.001, 1_000_000, 'messages a second'],
  'limits.messages.burst': [1, 1_000_000, 'messages'],
  'limits.bytes.rate': [1, TIB, 'bytes a second'],
  'limits.bytes.burst': [1, TIB, 'bytes'],
  'limits.userMessages.rate': [0.001, 1_000_000, 'messages a second'],
  'limits.userMessages.burst': [1, 1_000_000, 'messages'],
  'limits.maxQueue': [1, 65_536, 'messages'],
  'limits.buffered.soft': [1_024, GIB, 'bytes'],
  'limits.buffered.hard': [1_024, GIB, 'bytes'],
  'limits.connections.total': [1, MAX_INT, 'connections'],
  'limits.connections.perUser': [1, MAX_INT, 'connections'],
  'limits.connections.perAddress': [1, MAX_INT, 'connections'],
  'limits.subscriptions': [1, 1_000_000, 'channels'],
  'limits.memoryHistory': [1_024, TIB, 'bytes'],
  'limits.upgradeTimeout': [50, 600_000, 'ms'],
  'channels.maxCalls': [1, 1_024, 'calls'],
  'channels.hookTimeout': [100, 600_000, 'ms'],
  'drain.delay': [0, 600_000, 'ms'],
  'drain.window': [0, 3_600_000, 'ms'],
  'drain.timeout': [100, 7_200_000, 'ms']
}
