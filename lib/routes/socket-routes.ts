import type {
  FastifyInstance,
  FastifyReply,
  FastifyRequest,
  onErrorHookHandler,
  onRequestAsyncHookHandler,
  onSendHookHandler,
  preHandlerHookHandler,
  RouteOptions
} from 'fastify'
import { ensureSerializerCompiler, ensureValidatorCompiler, isLimiter } from '../dependencies.ts'
import { InvalidOptionError, InvalidRouteError, UpgradeRequiredError } from '../errors.ts'
import type { Admission } from '../handshake/admission.ts'
import { authenticationFault } from '../handshake/authentication.ts'
import type { Refusals } from '../handshake/refusal.ts'
import { kRoute, type Route } from '../handshake/route.ts'
import type { RouteOptions as RealtimeRouteOptions, RouteSettings } from '../options/options.ts'
import { resolveRoute } from '../options/resolve-options.ts'
import type { RealtimeSocket } from '../socket/realtime-socket.ts'
import type { ReceptionRules } from '../socket/reception.ts'
import type { RequestRules } from '../socket/requests.ts'
import { Resumption } from '../socket/resumption.ts'
import { SchemaCompiler } from './schema-compiler.ts'
import { type Handler, runner } from './socket-handler.ts'
import type { UpgradeRoutes } from './upgrade-routes.ts'

/*
 * The parts that this package adds to Fastify's routes: `app.ws`, and for every route with `{ websocket: true }` the
 * settings of its handshakes and sockets.
 */

type Config = {
  realtime?: RealtimeRouteOptions
  [kRoute]?: Route
  [kSchemas]?: OwnSchemas
  [kSessions]?: true
  [kTransport]?: NonNullable<Route['transport']>
  [key: string]: unknown
}

/** Says what an HTTP endpoint of the channel protocol serves, in the route's `config`. */
export const kTransport = Symbol('fastify-realtime.transport')
/** Marks the WebSocket route for the channel protocol, in the route's `config`. */
export const kSessions = Symbol('fastify-realtime.sessions')

// Marks an app.ws route, and stores its own schemas for the hook onRoute.
const kSchemas = Symbol('fastify-realtime.schemas')
const NO_UPGRADES =
  'this server accepts no WebSockets; register Fastify with https and https.allowHTTP1: true, or without http2'
// The allowed parts of a route's schema: parts that Fastify checks, and parts that describe the route
// (@fastify/swagger). Fastify ignores any other part, so its values would not be checked.
const SCHEMA_PARTS = new Set(
  'params querystring query headers hide deprecated tags summary description operationId externalDocs security consumes produces links $id'.split(
    ' '
  )
)

type Respond = (this: FastifyInstance, data: unknown, socket: RealtimeSocket, request: FastifyRequest) => unknown

/** The schemas that Fastify does not know, and the compiled functions for requests and replies. */
interface OwnSchemas extends Pick<RequestRules, 'validator' | 'serializer'> {
  message?: unknown
  request?: unknown
  reply?: unknown
}

export interface AnySocketRouteOptions {
  respond?: Respond
  requests?: boolean
  queued?: boolean
  schema?: { message?: unknown; [part: string]: unknown }
  config?: Config
  [option: string]: unknown
}

/** The decorator `app.ws`. */
export function ws(this: FastifyInstance, path: string, ...rest: [Handler] | [AnySocketRouteOptions, Handler]) {
  const [options, handler] = rest.length === 1 ? [{}, rest[0]] : rest
  if (typeof path !== 'string') throw new InvalidRouteError(String(path), 'give a path like /live')
  if (typeof handler !== 'function') throw new InvalidRouteError(path, 'give a handler, as the last argument')
  const {
    schema = {},
    config,
    respond,
    requests,
    queued,
    ...others
  } = checkObject(path, 'options', options) as AnySocketRouteOptions
  checkDialogue(path, options)
  checkObject(path, 'schema', schema)
  const { message, request: requestSchema, reply, ...parts } = schema
  if (respond === undefined && (requestSchema !== undefined || reply !== undefined)) {
    throw new InvalidRouteError(path, 'schema.request and schema.reply belong to the option respond, which is missing')
  }
  const schemas: OwnSchemas = { message, request: requestSchema, reply }
  const run = runner(this, path, handler)
  const hasRules = respond !== undefined || requests === true || queued === true
  const rulesOf = (socket: RealtimeSocket, request: FastifyRequest): ReceptionRules => {
    const { validator, serializer } = schemas
    const answer = respond && ((data: unknown) => respond.call(this, data, socket, request))
    return { respond: answer, requests: requests === true, queued: queued === true, validator, serializer }
  }
  for (const part of ['body', 'response']) {
    if (part in parts) throw new InvalidRouteError(path, `a WebSocket route has no schema.${part}; use schema.message`)
  }
  const unknown = Object.keys(parts).find((part) => !SCHEMA_PARTS.has(part) && !part.startsWith('x-'))
  if (unknown !== undefined) {
    throw new InvalidRouteError(
      path,
      `unknown schema.${unknown}; use one of message, request, reply, params, querystring, headers`
    )
  }
  if ('message' in others) throw new InvalidRouteError(path, 'message belongs into schema')
  this.route({
    // Without a HEAD route: a HEAD request cannot open a connection.
    exposeHeadRoute: false,
    ...others,
    method: 'GET',
    url: path,
    // If it is true, @fastify/websocket uses `handler` instead of our `wsHandler`.
    websocket: undefined,
    schema: { ...parts, hide: true },
    config: { ...config, [kSchemas]: schemas },
    handler: upgradeRequired,
    wsHandler: (socket: RealtimeSocket, request: FastifyRequest) => {
      const rules = hasRules ? rulesOf(socket, request) : undefined
      socket.begin(rules, Resumption.from(request.raw.url as string, socket.maxSubscriptions))
      run(socket, request)
    }
  } as unknown as RouteOptions)
  return this
}

function checkDialogue(path: string, { respond, requests, queued }: AnySocketRouteOptions): void {
  if (respond !== undefined && typeof respond !== 'function') {
    throw new InvalidRouteError(path, 'respond: give a function, which answers requests')
  }
  for (const [name, value] of Object.entries({ requests, queued })) {
    if (value !== undefined && typeof value !== 'boolean') {
      throw new InvalidRouteError(path, `${name}: give true or false`)
    }
  }
}

function checkObject(path: string, what: string, value: unknown): object {
  if (typeof value === 'object' && value !== null) return value
  throw new InvalidRouteError(path, `${what}: give an object`)
}

/** Answers a request that is not a handshake. HTTP/2 has no upgrade: Node throws if the response has these headers. */
export function upgradeRequired(request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const { code, statusCode, message } = new UpgradeRequiredError()
  if (request.raw.httpVersionMajor < 2) reply.header('upgrade', 'websocket').header('connection', 'upgrade')
  return reply.code(statusCode as number).send({ statusCode, code, error: 'Upgrade Required', message })
}

/** The parts that process the handshakes at the routes. */
export interface HandshakeParts {
  readonly admission: Admission
  readonly refusals: Refusals
  readonly paths: UpgradeRoutes
}

/**
 * Prepares every WebSocket route, and every HTTP endpoint of the channel protocol, that is declared after this package was
 * registered.
 */
export function prepareSocketRoutes(
  app: FastifyInstance,
  settings: RouteSettings,
  { admission, refusals, paths }: HandshakeParts
): void {
  const pending: (() => void)[] = []
  // This hook has a callback, because not even a promise may delay the 101 after its checks.
  const complete: preHandlerHookHandler = (request, reply, done) => {
    if (admission.complete(request, reply)) done()
  }
  const onError: onErrorHookHandler = (request, _reply, _error, done) => {
    refusals.failed(request)
    done()
  }
  const onSend: onSendHookHandler = (request, reply, payload, done) => {
    const answer = refusals.onSend(request, reply, payload)
    // If the handshake was refused with a close code, Fastify has nothing to send.
    if (answer !== undefined) done(null, answer.payload)
  }
  // An app.ws route has no HEAD route. This hook answers HEAD like GET. In scopes other than ours the answer is 404.
  app.addHook('onRequest', (request, reply, done) => {
    const isHead = request.is404 && request.method === 'HEAD'
    if (!isHead) done()
    else
      paths.find(request.raw, (owner) => (owner === 'ours' ? upgradeRequired(request, reply) : done()), request.raw.url)
  })
  app.addHook('onRoute', function (this: FastifyInstance, options) {
    const isSocket = Boolean(options.websocket || options.wsHandler)
    const transport = (options.config as Config | undefined)?.[kTransport]
    paths.declared(options, isSocket ? 'ours' : transport === undefined ? 'plain' : 'stream')
    if (transport !== undefined) {
      const route: Route = { kind: 'channels', url: options.url, settings, transport }
      options.config = { [kRoute]: route } as unknown as typeof options.config
      options.preHandler = [options.preHandler ?? [], complete].flat()
      this.after(() => setLimiter(this, options, route))
      return
    }
    if (!isSocket) {
      if ((options.config as Config | undefined)?.realtime === undefined) return
      throw new InvalidRouteError(options.url, 'config.realtime is for WebSocket routes; make it one, or leave it out')
    }
    // Fastify adds a HEAD route to each GET route. It needs no settings, because an upgrade is always a GET request.
    if (![options.method].flat().includes('GET')) return
    if (options.websocket) answerPlainRequests(options)
    const config = (options.config ?? {}) as Config
    const { [kSchemas]: schemas, ...others } = config
    const route: Route = {
      kind: config[kSessions] ? 'channels' : schemas === undefined ? 'raw' : 'messages',
      url: options.url,
      settings: routeSettings(this, options.url, settings, config.realtime)
    }
    admission.declared(route)
    options.config = { ...others, [kRoute]: route } as typeof options.config
    options.preHandler = [options.preHandler ?? [], complete].flat()
    options.onError = [options.onError ?? [], onError].flat()
    options.onSend = [options.onSend ?? [], onSend].flat()
    this.after(() => {
      setLimiter(this, options, route)
      const isValidated = schemas?.message !== undefined || schemas?.request !== undefined
      if (isValidated || config[kSessions]) ensureValidatorCompiler(this, options)
      if (config[kSessions] || schemas?.reply !== undefined) ensureSerializerCompiler(this, options)
    })
    if (schemas !== undefined) pending.push(() => compile(this, options, schemas, route))
  })
  app.addHook('onReady', async () => {
    paths.compile()
    if (paths.any && !acceptsUpgrades(app)) throw new InvalidOptionError('http2', NO_UPGRADES)
    for (const compileNext of pending.splice(0)) compileNext()
  })
}

/** True if clients can use HTTP/1.1. A server with `http2` offers it only over TLS, and only with `allowHTTP1`. */
function acceptsUpgrades({ initialConfig: { http2, https } }: FastifyInstance): boolean {
  return http2 !== true || (typeof https === 'object' && https.allowHTTP1 === true)
}

/** Answers plain requests on a route with `websocket: true`. @fastify/websocket would answer them with 404. */
function answerPlainRequests(options: RouteOptions): void {
  const { handler } = options
  options.handler = function (request, reply) {
    // For an upgrade, `request.ws` is true.
    return request.ws ? handler.call(this, request, reply) : upgradeRequired(request, reply)
  }
}

function routeSettings(app: FastifyInstance, url: string, settings: RouteSettings, own: unknown): RouteSettings {
  if (own !== undefined) checkObject(url, 'config.realtime', own)
  let resolved: RouteSettings
  try {
    resolved = resolveRoute(settings, own as RealtimeRouteOptions | undefined)
  } catch (error) {
    throw Object.assign(error as Error, { message: `Route ${url}: ${(error as Error).message}` })
  }
  const fault = resolved.auth === false ? undefined : authenticationFault(app, resolved.auth)
  if (fault !== undefined) throw new InvalidRouteError(url, `clients cannot be authenticated: ${fault}`)
  return resolved
}

function compile(app: FastifyInstance, options: RouteOptions, schemas: OwnSchemas, route: Route): void {
  const { url, validatorCompiler = app.validatorCompiler, serializerCompiler = app.serializerCompiler } = options
  const refuse = (fix: string) => new InvalidRouteError(url, fix)
  const compiler = new SchemaCompiler({ validatorCompiler, serializerCompiler }, { method: 'GET', url }, refuse)
  const { message, request, reply } = schemas
  if (message !== undefined) route.validator = compiler.validator('message', message)
  if (request !== undefined) schemas.validator = compiler.validator('request', request)
  if (reply !== undefined) schemas.serializer = compiler.serializer('reply', reply)
}

function setLimiter(app: FastifyInstance, options: RouteOptions, route: Route): void {
  const limiter = takeLimiter(app, options)
  if (limiter !== undefined) route.limiter = limiter
}

/**
 * Removes the hook of @fastify/rate-limit from a route's own hooks, and returns it. That hook must run before the token
 * is verified, and all other hooks after. @fastify/rate-limit adds it to the route's hooks at an index that depends on
 * the order of the plugins.
 */
function takeLimiter(app: FastifyInstance, options: RouteOptions): onRequestAsyncHookHandler | undefined {
  if (options.onRequest === undefined) return undefined
  const hooks = [options.onRequest].flat() as onRequestAsyncHookHandler[]
  options.onRequest = hooks.filter((hook) => !isLimiter(app, hook))
  return hooks.find((hook) => isLimiter(app, hook))
}
