import type { FastifyError, FastifyInstance, FastifyRequest } from 'fastify'
import { type TokenUse, verifyToken } from '../handshake/authentication.ts'
import { isExpired } from '../handshake/claim-rules.ts'
import type { Dismissals } from '../handshake/dismissals.ts'
import { loggedReason } from '../handshake/refusal-reason.ts'
import { GuardedLog } from '../input/guarded-log.ts'
import { DEFAULTS, type ResolvedAuth, type ResolvedOptions } from '../options/options.ts'
import { PROTOBUF_PROTOCOL } from '../protocol/subprotocol.ts'
import { COMMANDS } from '../session/commands/index.ts'
import { type ClientFormat, jsonOverWebSocket, protobufOverWebSocket } from '../session/encodings/client-format.ts'
import type { SessionServices, Verdict } from '../session/services.ts'
import { Session } from '../session/session.ts'
import type { RealtimeSocket } from '../socket/realtime-socket.ts'
import { HookDeadline } from '../timing/hook-deadline.ts'
import type { ChannelRoutes } from './channel-routes.ts'
import { type HttpEndpointParts, HttpEndpoints } from './http-endpoints.ts'
import type { RpcRoutes } from './rpc-routes.ts'
import { ScopeHooks } from './scope-hooks.ts'
import { kSessions, upgradeRequired } from './socket-routes.ts'

/** The parts that the endpoint uses. */
export interface EndpointParts extends Omit<HttpEndpointParts, 'services'> {
  readonly channels: ChannelRoutes
  readonly methods: RpcRoutes
}

/** The routes for the channel protocol. They exist only if a channel or a method is declared. */
export class ChannelEndpoint {
  readonly #app: FastifyInstance
  readonly #settings: ResolvedOptions['channels']
  readonly #http: HttpEndpoints
  readonly #services: SessionServices
  readonly #hooks: ScopeHooks
  #declared = false

  constructor(app: FastifyInstance, parts: EndpointParts, { channels: settings, auth }: ResolvedOptions) {
    const { node, admission, channels, methods } = parts
    this.#app = app
    this.#settings = settings
    const deadline = new HookDeadline(node.wheel, settings.hookTimeout)
    this.#services = {
      broker: node.broker,
      hub: node.hub,
      presence: node.presence,
      wheel: node.wheel,
      turn: node.context.turn,
      hooks: settings,
      deadline,
      authenticated: auth !== false,
      authTimeout: (auth === false ? DEFAULTS.auth : auth).timeout,
      maxCalls: settings.maxCalls,
      findChannel: (name) => channels.find(name),
      findMethod: (name) => methods.find(name),
      verify: (token, request, use) =>
        deadline.wait(verdictOn(token, request, auth as ResolvedAuth, use, node.dismissals)),
      admit: (request, claims) => admission.admitUser(request, claims)
    }
    this.#http = new HttpEndpoints({ ...parts, services: this.#services })
    const hooks = new ScopeHooks(app)
    this.#hooks = hooks
    app.addHook('onReady', async () => {
      channels.compile(hooks)
      methods.compile(hooks)
    })
  }

  /** Whether a scope has hooks for requests, apart from those of the scope in which this package is registered. */
  isGuarded(scope: FastifyInstance): boolean {
    return this.#hooks.guardOf(scope) !== undefined
  }

  /** Called for each declared channel or method. */
  declare(): void {
    if (this.#declared) return
    this.#declared = true
    const { websocket, http } = this.#settings
    if (websocket !== false) this.#declareWebSocket(websocket)
    if (http !== false) this.#http.declare(http)
  }

  #declareWebSocket(url: string): void {
    this.#app.route({
      method: 'GET',
      url,
      exposeHeadRoute: false,
      schema: { hide: true },
      config: { [kSessions]: true },
      handler: upgradeRequired,
      wsHandler: (socket: unknown, request: FastifyRequest) => {
        const realtimeSocket = socket as RealtimeSocket
        const format = formatOf(realtimeSocket, request)
        realtimeSocket.session = new Session(realtimeSocket, request, this.#services, COMMANDS, format)
      }
    } as never)
  }
}

/** Protobuf, if the client has offered its subprotocol, or asks for it in the URL, as older clients do. Else JSON. */
function formatOf({ protocol }: RealtimeSocket, { query }: FastifyRequest): ClientFormat {
  const isProtobuf = protocol === PROTOBUF_PROTOCOL || (query as { format?: unknown }).format === 'protobuf'
  return isProtobuf ? protobufOverWebSocket : jsonOverWebSocket
}

async function verdictOn(
  token: string,
  request: FastifyRequest,
  auth: ResolvedAuth,
  use: TokenUse,
  dismissals: Dismissals
): Promise<Verdict> {
  const mark = dismissals.mark()
  try {
    const { claims, adopt } = await verifyToken(token, request, auth, use)
    return {
      claims,
      adopt: (connection) => {
        const dismissal = dismissals.since(mark, claims.sub)
        if (dismissal !== undefined) return dismissal
        adopt()
        if (connection !== undefined) dismissals.catchUp(mark, claims.sub, connection)
        return undefined
      }
    }
  } catch (error) {
    const { code, statusCode } = error as FastifyError
    if (statusCode === 503) return { fault: 'unavailable' }
    const fault = isExpired(error) ? 'expired' : 'invalid'
    const log = new GuardedLog(request.log)
    log.info({ code, fault, use, ...loggedReason(error as FastifyError) }, 'token refused')
    return { fault }
  }
}
