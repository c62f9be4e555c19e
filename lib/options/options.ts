import type { FastifyRequest } from 'fastify'
import type { Cluster, Redis, RedisOptions } from 'ioredis'
import type { Claims } from './claims.ts'
import type { EndpointOptions, HttpEndpointOptions } from './endpoint-options.ts'
import type { EndpointHooks } from './hooks.ts'

export type { Claims } from './claims.ts'

/** The used part of a prom-client `Registry`. The types don't import prom-client, because it is optional. */
export interface MetricsRegistry {
  registerMetric(metric: never): void
  getSingleMetric(name: string): unknown
}

/** The part of a handshake that contains a token. */
export type TokenSource = 'subprotocol' | 'authorization' | 'query' | 'cookie'

export interface AuthOptions {
  /**
   * Sources of tokens, read in this order: the subprotocol offer, the `Authorization: Bearer` header, `?access_token=`
   * (`'query'`; redacted in `request.url`), the cookie that `@fastify/jwt` was registered with (`'cookie'`). The list
   * may be empty if `authenticate` is given.
   * @default ['subprotocol', 'authorization']
   */
  sources?: TokenSource[] | undefined
  /** Verifies a token in place of `@fastify/jwt`: returns its claims or throws. */
  verify?: ((token: string, request: FastifyRequest) => Claims | Promise<Claims>) | undefined
  /**
   * Identifies the client if its handshake offers no token, for example by a session cookie. Returns claims, or
   * undefined to refuse with 401. If it is the only way to authenticate, `@fastify/jwt` is not needed.
   */
  authenticate?: ((request: FastifyRequest) => Claims | undefined | Promise<Claims | undefined>) | undefined
  /**
   * Claims that a client must have.
   * @default ['sub', 'exp'] for a token, ['sub'] for `authenticate`
   */
  requiredClaims?: string[] | undefined
  /**
   * How a refusal is reported that the page's own code can handle. `'http'`: by an HTTP status. `'close'`: by a close
   * code right after the 101. `'auto'`: by a close code to browsers (requests with an Origin header), and by a status to
   * other clients. A browser shows the page no status: every HTTP refusal is 1006 there.
   * @default 'auto'
   */
  refuse?: 'auto' | 'http' | 'close' | undefined
  /**
   * Maximum milliseconds for which a connection of the channel protocol may stay unauthenticated, 100 to 600,000.
   * @default 10000
   */
  timeout?: number | undefined
}

export type OriginMatcher = string | RegExp | ((origin: string, request: FastifyRequest) => boolean | Promise<boolean>)

export interface HeartbeatOptions {
  /**
   * Milliseconds between two pings of one connection, ±10 %, 50 to 86,400,000.
   * @default 25000
   */
  interval?: number | undefined
  /**
   * Milliseconds that a client has to answer a ping, 50 to 86,400,000. If neither the pong nor any other frame arrives
   * in this time, the connection is terminated.
   * @default 10000
   */
  timeout?: number | undefined
  /**
   * On `app.ws` routes, also send `{"ping":<ms>}` as text if nothing else was sent since the last ping, because browser
   * code can't see ping frames.
   * @default false
   */
  visible?: boolean | undefined
}

/** A token bucket: `rate` tokens a second on average, `burst` at once. */
export interface Rate {
  /** Tokens a second, 0.001 to 1,000,000. */
  rate: number
  /** Maximum number of tokens, 1 to 1,000,000. */
  burst: number
}

/** A token bucket of bytes: `rate` bytes a second on average, `burst` at once. */
export interface ByteRate {
  /** Bytes a second, 1 to 1,099,511,627,776. */
  rate: number
  /** Bytes at once, 1 to 1,099,511,627,776. */
  burst: number
}

export interface LimitOptions {
  /**
   * Maximum bytes of one message, 1 to 2,147,483,647. Larger messages close the connection with 1009.
   * @default 1048576
   */
  maxPayload?: number | undefined
  /**
   * Maximum number of fragments of one message, 1 to 2,147,483,647. More close the connection with 1008.
   * @default 1024
   */
  maxFragments?: number | undefined
  /**
   * Maximum number of chunks buffered for one message, 1 to 2,147,483,647. More close the connection with 1008.
   * @default 4096
   */
  maxBufferedChunks?: number | undefined
  /**
   * Maximum nesting of arrays and objects in a JSON message, 1 to 500. Deeper messages get the error `too_deep`.
   * @default 64
   */
  maxDepth?: number | undefined
  /**
   * Maximum bytes of one publication's data as JSON, 1 to 536,870,912, by any way of publishing. If it is larger, a
   * publish rejects with `FST_RT_PUBLICATION_TOO_LARGE`, and a channel client gets the error 106. Not per route.
   * @default 1048576
   */
  publication?: number | undefined
  /**
   * Rate of messages of one connection. Over the rate, a message is dropped with the error `rate_limited`. After 2,000
   * dropped messages the connection is closed with 4429; one of them is forgiven every 50 ms.
   * @default { rate: 100, burst: 200 }
   */
  messages?: Rate | false | undefined
  /**
   * Rate of bytes of one connection: its messages, and the large answers to its commands (history, presence, recovery).
   * Over the rate, the same happens as with `messages`.
   * @default { rate: 8388608, burst: 16777216 }
   */
  bytes?: ByteRate | false | undefined
  /**
   * Rate of messages of one user over all nodes. Over the rate, messages get the error `rate_limited`.
   * @default false
   */
  userMessages?: Rate | false | undefined
  /**
   * Messages that may wait for the handler, 1 to 65,536. If more wait, the socket is not read until half are taken.
   * @default 64
   */
  maxQueue?: number | undefined
  /** Limits of the bytes that wait for a slow reader. */
  buffered?:
    | {
        /**
         * Bytes, 1,024 to 1,073,741,824. Over it, publications are dropped, oldest first, or read from history later.
         * @default 65536
         */
        soft?: number | undefined
        /**
         * Bytes, `soft` to 1,073,741,824. Over it, the connection is closed with 4008.
         * @default 1048576
         */
        hard?: number | undefined
      }
    | undefined
  /** Maximum numbers of connections at a time, 1 to 2,147,483,647 each. Not per route. */
  connections?:
    | {
        /**
         * Of this process. Further handshakes get 503.
         * @default Infinity
         */
        total?: number | undefined
        /**
         * Of one user. Further handshakes get 429, or close 4409.
         * @default Infinity
         */
        perUser?: number | undefined
        /**
         * Of one remote address. Further handshakes get 503.
         * @default Infinity
         */
        perAddress?: number | undefined
      }
    | undefined
  /**
   * Maximum number of channels to which one connection is subscribed, 1 to 1,000,000. Further ones get an error.
   * @default 128
   */
  subscriptions?: number | undefined
  /**
   * Without `redis`: maximum bytes of memory for histories, positions and idempotency keys in all, 1,024 to
   * 1,099,511,627,776. Over it, the least recently used channels lose their oldest publications. Clients that ask for
   * those get `recovered: false`. Not per route.
   * @default 268435456
   */
  memoryHistory?: number | undefined
  /**
   * Maximum milliseconds from the request for an upgrade to the 101, including hooks, 50 to 600,000. After it: 503.
   * @default 10000
   */
  upgradeTimeout?: number | undefined
}

export interface DrainOptions {
  /**
   * Milliseconds between "not ready" and the first close, 0 to 600,000, so that a load balancer notices.
   * @default 0
   */
  delay?: number | undefined
  /**
   * Milliseconds over which the closes are spread, 0 to 3,600,000.
   * @default 15000
   */
  window?: number | undefined
  /**
   * Maximum milliseconds of the drain, 100 to 7,200,000. Connections that are left then are terminated.
   * @default 25000
   */
  timeout?: number | undefined
}

/** Level of the log line at the end of each connection. */
export type LogConnections = false | 'debug' | 'info'

export interface RealtimeOptions {
  /** URL, ioredis options, or an ioredis client (the plugin does not close it). Without it: one process, in memory. */
  redis?: string | RedisOptions | Redis | Cluster | undefined
  // No `undefined` in the type, like Fastify's own option `prefix`: otherwise `register` refuses objects of this type.
  /**
   * First part of every Redis key and channel name, 1 to 64 characters of `A-Z a-z 0-9 _ . -`.
   * @default 'realtime'
   */
  prefix?: string
  /** Authentication at the handshake; `false` accepts anonymous connections. */
  auth?: AuthOptions | false | undefined
  /**
   * Origins that browsers may connect from: strings (`'https://example.com'`, `'*'` for any), RegExps or functions.
   * Requests without an Origin header are not from browsers and are accepted.
   * @default the request's own host
   */
  origins?: OriginMatcher | OriginMatcher[] | undefined
  heartbeat?: HeartbeatOptions | undefined
  limits?: LimitOptions | undefined
  drain?: DrainOptions | undefined
  channels?: EndpointOptions | undefined
  /** The prom-client registry for the metrics. The global default registry is never used. */
  metrics?: MetricsRegistry | undefined
  /**
   * Level of one log line at the end of each connection: its close code, which side closed it, its age, its counts and
   * its last round trip. `false` writes none.
   * @default false
   */
  logConnections?: LogConnections | undefined
}

/** Options that a route may set for itself, in `config.realtime`. */
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

/** The settings of a route. */
export interface RouteSettings {
  readonly auth: ResolvedAuth | false
  readonly heartbeat: ResolvedHeartbeat
  readonly limits: ResolvedLimits
  /** Undefined: only the request's own host. */
  readonly origins: readonly OriginMatcher[] | undefined
}

export type ResolvedHttpEndpoints = Complete<HttpEndpointOptions>

export interface ResolvedOptions extends RouteSettings {
  readonly redis: RealtimeOptions['redis']
  readonly prefix: string
  readonly drain: ResolvedDrain
  readonly channels: {
    readonly websocket: string | false
    readonly http: ResolvedHttpEndpoints | false
    readonly maxCalls: number
    readonly hookTimeout: number
  } & EndpointHooks
  readonly metrics: MetricsRegistry | undefined
  readonly logConnections: LogConnections
}

/** The defaults. `docs/options.md` is tested against them. */
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
  channels: {
    websocket: '/connection/websocket' as string | false,
    http: {
      stream: '/connection/http_stream',
      sse: '/connection/sse',
      emulation: '/emulation'
    } as ResolvedHttpEndpoints | false,
    maxCalls: 16,
    hookTimeout: 30_000
  },
  logConnections: false as LogConnections
}

const MAX_INT = 2 ** 31 - 1
const GIB = 2 ** 30
const TIB = 2 ** 40
const DAY = 86_400_000

/** Minimum, maximum and unit of every number. */
export const BOUNDS: Readonly<Record<string, readonly [min: number, max: number, unit: string]>> = {
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
