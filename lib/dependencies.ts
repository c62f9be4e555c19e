import type { EventEmitter } from 'node:events'
import { IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import type { Duplex, Writable } from 'node:stream'
import type { FastifyInstance, FastifyReply, FastifyRequest, RouteOptions } from 'fastify'
import type { Cluster, Command, Redis } from 'ioredis'
import type { WebSocket, WebSocketServer } from 'ws'
import { DependencyError } from './errors.ts'

/*
 * Everything that this package knows about other packages and that their documentation does not promise. Each heading
 * names the version that was examined. test/dependencies.test.ts has one test for each export, with its name. The test
 * fails if a later version is different. It also fails for a new major version, so that a maintainer examines that one.
 */

// --- fastify 5.12.8

/** The class of a scope's replies: the scope's decorators are on its prototype. */
type ReplyClass = new (raw: ServerResponse, request: FastifyRequest, log: FastifyRequest['log']) => FastifyReply

interface ServerOptions {
  /** Includes the options for find-my-way. */
  readonly routerOptions: Readonly<Record<string, unknown>>
  readonly rewriteUrl?: (this: FastifyInstance, request: IncomingMessage) => unknown
}

/** The options of Fastify that decide which route a path belongs to. find-my-way has options with the same names. */
export const ROUTER_OPTIONS = [
  'allowUnsafeRegex',
  'caseSensitive',
  'ignoreDuplicateSlashes',
  'ignoreTrailingSlash',
  'maxParamLength',
  'useSemicolonDelimiter'
]

/** A scope and the scopes around it, the outermost last. The prototype of a scope is the scope around it. */
export function scopesFrom(scope: FastifyInstance): readonly FastifyInstance[] {
  const scopes: FastifyInstance[] = []
  for (let at = scope; 'register' in at; at = Object.getPrototypeOf(at)) scopes.push(at)
  return scopes
}

/** The scope around all others. */
export function rootOf(scope: FastifyInstance): FastifyInstance {
  return scopesFrom(scope).at(-1) as FastifyInstance
}

/** The options of the server, with the defaults. `initialConfig` leaves out functions and constraints. */
export function serverOptionsOf(scope: FastifyInstance): ServerOptions {
  return internal(scope, 'fastify.options', 'its options cannot be read in this version: use another')
}

export function replyClassOf(scope: FastifyInstance): ReplyClass {
  const consequence =
    'hooks of scopes cannot be run for channels with this version: use another, or scopes without hooks'
  return internal(scope, 'fastify.Reply', consequence)
}

/**
 * A view of an instance whose routes use the content type parsers of a scope inside it. Otherwise only routes of that
 * scope use them, and hooks for `onRoute` that are added to the instance later do not apply to those.
 */
export function withParsersOf(app: FastifyInstance, scope: FastifyInstance): FastifyInstance {
  const consequence =
    'the bodies of HTTP endpoints cannot be read with this version: use another, or channels.http: false'
  const name = 'fastify.contentTypeParser'
  const value = internal(scope, name, consequence)
  const key = Object.getOwnPropertySymbols(scope).find(({ description }) => description === name) as symbol
  return Object.create(app, { [key]: { value } })
}

/**
 * The other servers of an application: `listen` on a name with several addresses, as `localhost`, makes one for each.
 * Fastify calls its own handler for their requests, and gives their upgrades to the first server.
 */
export function otherServersOf(app: FastifyInstance): readonly Server[] {
  return internal(app, 'fastify.serverBindings', 'its servers cannot be found in this version: use another')
}

/** The value under a symbol of an instance, or of an instance around it. */
function internal<T>(scope: FastifyInstance, name: string, consequence: string): T {
  for (let at: object = scope; at !== null; at = Object.getPrototypeOf(at)) {
    const key = Object.getOwnPropertySymbols(at).find(({ description }) => description === name)
    if (key !== undefined) return (at as Record<symbol, T>)[key] as T
  }
  throw new DependencyError('fastify', consequence)
}

/** Adds a schema to a route, because Fastify makes its default validator compiler only for a route with a schema. */
export function ensureValidatorCompiler(app: FastifyInstance, options: RouteOptions): void {
  if ((options.validatorCompiler ?? app.validatorCompiler) !== undefined) return
  const schema = options.schema as { querystring?: unknown }
  schema.querystring ??= { type: 'object' }
}

/** Adds a response schema to a route, for the same reason: Fastify's default serializer compiler. */
export function ensureSerializerCompiler(app: FastifyInstance, options: RouteOptions): void {
  if (app.serializerCompiler === undefined) options.schema = { ...options.schema, response: { 200: {} } }
}

// --- @fastify/websocket 11.3.6

/** The decorators that it adds to instances. It also adds `ws` to requests. */
export const WEBSOCKET_DECORATORS: ReadonlySet<unknown> = new Set(['websocketServer', 'injectWS'])

/** True for its listener of the server's `upgrade` event. Only the source of a listener shows that it is this one. */
export function isThroughFastify(listener: unknown): boolean {
  return String(listener).includes('onUpgradeSocketError')
}

/**
 * True for its listener of a socket's `error` event. By default this listener logs a client's fault at level error, and
 * destroys the connection before the close frame is sent.
 */
export function isRouteGuard(listener: unknown): boolean {
  return String(listener).includes('errorHandler.call(this, error, socket, request, reply)')
}

/** True for a request that its `injectWS` made: a plain object without a host, and with a number as HTTP version. */
export function isInjected(request: IncomingMessage): boolean {
  return !(request instanceof IncomingMessage)
}

// --- ws 8.23.0

/** The options that a server passes to the receiver of each socket. */
export interface ReceiverOptions {
  maxPayload: number
  maxFragments: number
  maxBufferedChunks: number
}

/** A socket of the server. The types of `ws` lack `setSocket`, which sets the stream of the socket. */
type ServerSocket = WebSocket & { setSocket(stream: Duplex, head: Buffer, options: ReceiverOptions): void }

/** The constructor that a server calls for its sockets: the class in its option `WebSocket`. */
export type ServerSocketClass = new (address: null, protocols: undefined, options: object) => ServerSocket

/** A server. It reads its options at each upgrade, so they can be changed later. */
export type Sockets = WebSocketServer & { options: Record<string | symbol, unknown> }

/** True if a server was closed while it tracked open sockets. It emits `close` after the last of them has closed. */
export function awaitsLastClose(server: Sockets): boolean {
  return Reflect.get(server, '_shouldEmitClose') === true
}

/** True once a socket has received a close frame. `ws` answers it by calling the socket's own `close()`. */
export function hasReceivedClose(socket: WebSocket): boolean {
  return Reflect.get(socket, '_closeFrameReceived') === true
}

/** How many bytes a socket of `ws` has not yet written. `bufferedAmount` is a getter, which its type does not show. */
export function bufferedByWs(base: typeof WebSocket, socket: WebSocket): number {
  return Reflect.get(base.prototype, 'bufferedAmount', socket) as number
}

interface ExtensionParsers {
  readonly extension: { parse(header: string): Record<string, unknown> }
  readonly PerMessageDeflate: {
    readonly extensionName: string
    new (options: { isServer: boolean }): { accept(offers: unknown): void }
  }
}

/** The parsers of `ws` for the header `Sec-WebSocket-Extensions`. Its types lack these exports. */
export function extensionParsers(ws: unknown): ExtensionParsers {
  return ws as ExtensionParsers
}

// --- @fastify/jwt 10.2.8

interface JwtDecorator {
  readonly options: {
    readonly verify: {
      readonly extractToken?: unknown
      readonly onlyCookie?: boolean
      readonly allowedIss?: unknown
      readonly allowedAud?: unknown
      readonly clockTolerance?: number
    }
    /** The name of the property of a request that contains the user. */
    readonly decoratorName: string
  }
  readonly cookie?: { readonly cookieName: string; readonly signed: boolean }
}

/** Its types know no `extractToken` in a call. */
interface JwtRequest {
  jwtVerify(options: { extractToken: () => string } | undefined, done?: (error: unknown) => void): unknown
}

/**
 * True for its own `jwtVerify`. If that is called with a callback, it makes no promise, and it calls back before it
 * returns unless it has to fetch the key. An application may put another function in its place, which may ignore the
 * callback or pass it on: such a function is called without one.
 */
export function takesCallback(jwtVerify: JwtRequest['jwtVerify']): boolean {
  return jwtVerify.name === 'requestVerify' && jwtVerify.length === 2
}

/** The namespaces of @fastify/jwt if all its registrations have a namespace. Otherwise empty. */
export function jwtNamespaces(app: FastifyInstance): string[] {
  const { jwt } = app as { jwt?: object }
  return jwt === undefined || 'options' in jwt ? [] : Object.keys(jwt)
}

/** The decorator with the options that `request.jwtVerify` of an instance uses. Undefined if this cannot be known. */
export function jwtOf(app: FastifyInstance): JwtDecorator | undefined {
  const { jwt } = app as unknown as { jwt?: JwtDecorator & Record<string, JwtDecorator> }
  const [namespace, ...others] = jwtNamespaces(app)
  if (namespace === undefined) return jwt
  // One namespace has the method name jwtVerify. If there are several, it is not known which one.
  return others.length === 0 ? jwt?.[namespace] : undefined
}

export function jwtRequest(request: FastifyRequest): JwtRequest {
  return request as unknown as JwtRequest
}

// --- @fastify/cookie 11.1.5

interface CookieParsers {
  parseCookie(header: string): Record<string, string | undefined>
  unsignCookie(value: string): { value: string | null }
}

/** The decorators of @fastify/cookie. Their types are in that package, which an application may not have. */
export function cookieParsers(app: FastifyInstance): CookieParsers {
  return app as unknown as CookieParsers
}

// --- @fastify/rate-limit 11.2.0

/** True for a hook that limits rates. All such hooks are closures of one function, so their source is the same. */
export function isLimiter(app: FastifyInstance, hook: unknown): boolean {
  const { rateLimit } = app as { rateLimit?: () => unknown }
  return typeof rateLimit === 'function' && String(hook) === String(rateLimit())
}

// --- node 20.20.2

/**
 * Removes the empty table of listeners from an emitter. Its 184 bytes are a twentieth of an idle connection. Node makes
 * a new table for the next listener.
 */
export function dropListenerTable(emitter: EventEmitter): void {
  Reflect.set(emitter, '_events', undefined)
}

/** Makes Node read `headersDistinct` from the raw headers again at its next use. HTTP/2 has no such property. */
export function remakeDistinctHeaders(request: IncomingMessage): void {
  if ('headersDistinct' in request) Reflect.set(request, 'headersDistinct', undefined)
}

/**
 * The stream of a response. A response over HTTP/2 has another one inside, which alone shows how much waits in it. The
 * types know only the response over HTTP/1.1.
 */
export function streamOf(response: ServerResponse): Writable {
  return (response as { stream?: Writable }).stream ?? response
}

/**
 * The socket that the chunks of a response over HTTP/1.1 are written to. Undefined if it is written in another way: over
 * HTTP/2, by HTTP/1.0 without chunks, or by a test without a socket. Its head must be written.
 */
export function chunkSocketOf({ socket, chunkedEncoding }: ServerResponse): Socket | undefined {
  return chunkedEncoding && socket instanceof Socket ? socket : undefined
}

/**
 * True if the client has sent a request before it has the answers to earlier ones. Node holds back such a response, and
 * never reports that it closes. Over HTTP/2 the requests of a connection do not wait for each other.
 */
export function isQueued(response: ServerResponse): boolean {
  return response.socket === null && streamOf(response) === response
}

/**
 * Closes the stream of a request over HTTP/2 once it is answered. Otherwise it stays open until the client has sent its
 * body, which may be never. Over HTTP/1.1 the answer alone ends a response.
 */
export function closeOnceAnswered(stream: Writable): void {
  const { close } = stream as { close?: () => void }
  if (close !== undefined) stream.once('finish', close.bind(stream))
}

/** A server's list of its connections. HTTP/2 has none. */
interface ConnectionList {
  all(): readonly { readonly socket?: Socket | null }[]
}

/** The connections of a server over which nothing was ever sent. `server.closeIdleConnections()` leaves them open. */
export function silentConnections(server: Server): Socket[] {
  const key = Object.getOwnPropertySymbols(server).find(({ description }) => description === 'http.server.connections')
  const list = key && (server as unknown as Record<symbol, ConnectionList>)[key]
  const sockets = list?.all().map(({ socket }) => socket) ?? []
  return sockets.filter((socket): socket is Socket => socket?.bytesRead === 0)
}

/** The response that Node is writing to a connection. */
export function responseOn(stream: Duplex): ServerResponse | undefined {
  return (stream as { _httpMessage?: ServerResponse | null })._httpMessage ?? undefined
}

// --- ioredis 6.0.0

/** The options that have no default. All other options are in `options` of a new client. */
export const REDIS_OPTIONS_WITHOUT_DEFAULT = [
  ...['Connector', 'blockingTimeout', 'commandQueue', 'commandTimeout', 'monitor', 'offlineQueue'],
  ...['path', 'preferredSlaves', 'scripts', 'sentinelCommandTimeout', 'sentinelPassword', 'sentinelTLS'],
  ...['sentinelUsername', 'showFriendlyErrorStack', 'socketTimeout', 'tls']
]

/** True for a client of ioredis 6 or newer. Older versions lack this option, and return replies in other forms. */
export function isRedisOfThisVersion({ options }: { readonly options?: object }): boolean {
  return options !== undefined && 'replyMapping' in options
}

/**
 * The class of a client's commands. It must be from the client's own copy of ioredis, which may differ from ours. The
 * client does not expose the class, but each call passes an instance of it to `sendCommand`.
 */
export function commandClassOf(client: Redis | Cluster): typeof Command {
  const recorder = { options: {}, sendCommand: (command: Command) => command }
  return Reflect.apply(client.ping, recorder, []).constructor
}

/** True for the error of a command that was not executed: not sent, or redirected until no redirection was left. */
export function isUnsent({ message }: Error): boolean {
  return /^(Stream isn't writeable|Too many Cluster redirections)/.test(message)
}

/** The error of the last server that a cluster client tried, if a command failed because no server was available. */
export function lastNodeError(error: Error): Error | undefined {
  return (error as { lastNodeError?: Error }).lastNodeError
}
