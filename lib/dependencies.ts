import type { EventEmitter } from 'node:events'
import { IncomingMessage, type ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { FastifyInstance, FastifyReply, FastifyRequest, RouteOptions } from 'fastify'
import type { Cluster, Command, Redis } from 'ioredis'
import type { WebSocket, WebSocketServer } from 'ws'
import { DependencyError } from './errors.ts'

/*
 * Everything that this package knows about other packages and that their documentation does not promise. Each heading
 * names the version in which it was seen. test/dependencies.test.ts has a test for each export, with its name: that test
 * fails if a later version is different, and it fails for a new major version too, so that somebody looks.
 */

// --- fastify 5.12.8

/** The class of a scope's replies: the scope's decorators are on its prototype. */
type ReplyClass = new (raw: ServerResponse, request: FastifyRequest, log: FastifyRequest['log']) => FastifyReply

interface ServerOptions {
  /** With its own options for find-my-way. */
  readonly routerOptions: Readonly<Record<string, unknown>>
  readonly rewriteUrl?: (this: FastifyInstance, request: IncomingMessage) => unknown
}

/** The options of Fastify that decide which route a path belongs to; find-my-way has them under the same names. */
export const ROUTER_OPTIONS = [
  'allowUnsafeRegex',
  'caseSensitive',
  'ignoreDuplicateSlashes',
  'ignoreTrailingSlash',
  'maxParamLength',
  'useSemicolonDelimiter'
]

/** A scope and the scopes around it, the outermost last: a scope has the one around it for its prototype. */
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

/** What an instance, or one around it, keeps under a symbol. */
function internal<T>(scope: FastifyInstance, name: string, consequence: string): T {
  for (let at: object = scope; at !== null; at = Object.getPrototypeOf(at)) {
    const key = Object.getOwnPropertySymbols(at).find(({ description }) => description === name)
    if (key !== undefined) return (at as Record<symbol, T>)[key] as T
  }
  throw new DependencyError('fastify', consequence)
}

/** Fastify makes its default validator compiler only for a route that has a schema: gives a route one. */
export function ensureValidatorCompiler(app: FastifyInstance, options: RouteOptions): void {
  if ((options.validatorCompiler ?? app.validatorCompiler) !== undefined) return
  const schema = options.schema as { querystring?: unknown }
  schema.querystring ??= { type: 'object' }
}

/** The same for its default serializer compiler. */
export function ensureSerializerCompiler(app: FastifyInstance, options: RouteOptions): void {
  if (app.serializerCompiler === undefined) options.schema = { ...options.schema, response: { 200: {} } }
}

// --- @fastify/websocket 11.3.6

/** The names with which it decorates instances. A request has `ws`. */
export const WEBSOCKET_DECORATORS: ReadonlySet<unknown> = new Set(['websocketServer', 'injectWS'])

/** True for its listener of the server's `upgrade` event. Only its source tells it from the listeners of others. */
export function isThroughFastify(listener: unknown): boolean {
  return String(listener).includes('onUpgradeSocketError')
}

/**
 * True for its listener of a socket's `error` event. Its default logs at level error what a client did, and cuts off the
 * close frame that says so.
 */
export function isRouteGuard(listener: unknown): boolean {
  return String(listener).includes('errorHandler.call(this, error, socket, request, reply)')
}

/** True for a request that its `injectWS` made: a plain object, without a host, and with a number for a version. */
export function isInjected(request: IncomingMessage): boolean {
  return !(request instanceof IncomingMessage)
}

// --- ws 8.23.0

/** What a server gives to the receiver of each socket. */
export interface ReceiverOptions {
  maxPayload: number
  maxFragments: number
  maxBufferedChunks: number
}

/** A socket on the side of the server. Its types leave out `setSocket`, which gives it its stream. */
type ServerSocket = WebSocket & { setSocket(stream: Duplex, head: Buffer, options: ReceiverOptions): void }

/** How a server makes its sockets, of the class in its option `WebSocket`. */
export type ServerSocketClass = new (address: null, protocols: undefined, options: object) => ServerSocket

/** A server. It reads its options anew at each upgrade, so they can be changed later. */
export type Sockets = WebSocketServer & { options: Record<string | symbol, unknown> }

/** True once a server was closed while it tracked open sockets. It emits `close` after the last of them. */
export function awaitsLastClose(server: Sockets): boolean {
  return Reflect.get(server, '_shouldEmitClose') === true
}

/** True once a socket has received a close frame. `ws` answers it by calling the socket's own `close()`. */
export function hasReceivedClose(socket: WebSocket): boolean {
  return Reflect.get(socket, '_closeFrameReceived') === true
}

/** How many bytes a socket of `ws` has not yet written. It is an accessor, though the types say that it is a property. */
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

/** How `ws` reads `Sec-WebSocket-Extensions`. Its types leave these exports out. */
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
    /** The property of a request that holds the user. */
    readonly decoratorName: string
  }
  readonly cookie?: { readonly cookieName: string; readonly signed: boolean }
}

/**
 * Its types know no `extractToken` in a call. With a callback it makes no promise. If nothing has to be fetched, it calls
 * back before it returns.
 */
interface JwtRequest {
  jwtVerify(options: { extractToken: () => string } | undefined, done: (error: unknown) => void): unknown
}

/** The namespaces of an @fastify/jwt that has nothing but namespaces; otherwise empty. */
export function jwtNamespaces(app: FastifyInstance): string[] {
  const { jwt } = app as { jwt?: object }
  return jwt === undefined || 'options' in jwt ? [] : Object.keys(jwt)
}

/** The options that `request.jwtVerify` of an instance uses; undefined if that cannot be known. */
export function jwtOf(app: FastifyInstance): JwtDecorator | undefined {
  const { jwt } = app as unknown as { jwt?: JwtDecorator & Record<string, JwtDecorator> }
  const [namespace, ...others] = jwtNamespaces(app)
  if (namespace === undefined) return jwt
  // One of them was given the name jwtVerify. Of several, nobody can say which.
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

/** Its decorators: their types come with the package, which an application need not have. */
export function cookieParsers(app: FastifyInstance): CookieParsers {
  return app as unknown as CookieParsers
}

// --- @fastify/rate-limit 11.2.0

/** True for a hook that limits rates. All such hooks are closures of one function; nothing else tells them apart. */
export function isLimiter(app: FastifyInstance, hook: unknown): boolean {
  const { rateLimit } = app as { rateLimit?: () => unknown }
  return typeof rateLimit === 'function' && String(hook) === String(rateLimit())
}

// --- node 20.20.2

/**
 * Takes the empty table of listeners out of an emitter: with 184 bytes it is a twentieth of an idle connection. Node
 * makes another one for the first listener.
 */
export function dropListenerTable(emitter: EventEmitter): void {
  Reflect.set(emitter, '_events', undefined)
}

/** Makes Node read `headersDistinct` from the raw headers once more, when it is used next. HTTP/2 has no such property. */
export function remakeDistinctHeaders(request: IncomingMessage): void {
  if ('headersDistinct' in request) Reflect.set(request, 'headersDistinct', undefined)
}

/** The response that Node is writing to a connection. */
export function responseOn(stream: Duplex): ServerResponse | undefined {
  return (stream as { _httpMessage?: ServerResponse | null })._httpMessage ?? undefined
}

// --- ioredis 6.0.0

/** The options that have no default: `options` of a new client names all others. */
export const REDIS_OPTIONS_WITHOUT_DEFAULT = [
  ...['Connector', 'blockingTimeout', 'commandQueue', 'commandTimeout', 'monitor', 'offlineQueue'],
  ...['path', 'preferredSlaves', 'scripts', 'sentinelCommandTimeout', 'sentinelPassword', 'sentinelTLS'],
  ...['sentinelUsername', 'showFriendlyErrorStack', 'socketTimeout', 'tls']
]

/** True for a client of ioredis 6 or newer. Before, there was no such option, and Redis answered in other forms. */
export function isRedisOfThisVersion({ options }: { readonly options?: object }): boolean {
  return options !== undefined && 'replyMapping' in options
}

/**
 * The class of a client's commands, of the same copy of ioredis: the application may have another one than we have. The
 * client does not name the class, but hands over an instance with each call.
 */
export function commandClassOf(client: Redis | Cluster): typeof Command {
  const taker = { options: {}, sendCommand: (command: Command) => command }
  return Reflect.apply(client.ping, taker, []).constructor
}

/** True for the error of a command that was not sent. It has no code; redirections end if no server took the command. */
export function isUnsent({ message }: Error): boolean {
  return /^(Stream isn't writeable|Too many Cluster redirections)/.test(message)
}

/** What the last server of a cluster said, in the error of a command for which no server could be asked. */
export function lastNodeError(error: Error): Error | undefined {
  return (error as { lastNodeError?: Error }).lastNodeError
}
