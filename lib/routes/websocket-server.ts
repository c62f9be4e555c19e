import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import websocket from '@fastify/websocket'
import type { FastifyInstance } from 'fastify'
import { WebSocketServer } from 'ws'
import { awaitsLastClose, isThroughFastify, type Sockets, WEBSOCKET_DECORATORS } from '../dependencies.ts'
import { DependencyError } from '../errors.ts'
import type { UpgradeListener } from '../handshake/other-listeners.ts'
import { loggable } from '../input/loggable.ts'
import { CLOSE } from '../protocol/close-codes.ts'
import type { SocketContext } from '../socket/context.ts'
import { kContext, RealtimeSocket } from '../socket/realtime-socket.ts'

// Milliseconds to wait until the peer answers a close. By default ws, and with it app.close(), waits for 30 s.
const CLOSE_TIMEOUT = 2_000
const LATE = 'fastify-realtime has registered it already. Leave yours out, or register it before fastify-realtime'

type Upgraded = (socket: RealtimeSocket, request: IncomingMessage) => void

/** The functions of the handshakes that the server of the sockets calls. */
export interface Handshakes {
  /** True for an upgrade that came through our gate. */
  isOurs(request: IncomingMessage): boolean
  /**
   * The protocol to answer with.
   * @param offered The offered protocols that are not credentials.
   * @param choose The option `handleProtocols` that the application or a library has set.
   */
  protocolOf(offered: Set<string>, request: IncomingMessage, choose: unknown): string | false
}

export interface TakenSockets {
  /** Makes our sockets. */
  readonly server: Sockets
  /** The listener of @fastify/websocket for upgrades. */
  readonly listener: UpgradeListener
  /** True if the application registered @fastify/websocket. */
  readonly isShared: boolean
}

/**
 * Uses the server of @fastify/websocket, which is registered here if the application has not registered it. Returns a
 * view of this server that makes our sockets. The view overrides the options that this package needs. All other options
 * are read from the server when they are used, because libraries set some of them late.
 */
export async function takeSockets(
  app: FastifyInstance,
  context: SocketContext,
  handshakes: Handshakes
): Promise<TakenSockets> {
  const isShared = app.hasPlugin('@fastify/websocket')
  const listener = isShared ? findListener(app) : await register(app)
  const theirs = app.websocketServer as Sockets
  theirs.options.closeTimeout = CLOSE_TIMEOUT
  const options = Object.assign(Object.create(theirs.options), {
    WebSocket: RealtimeSocket,
    [kContext]: { ...context, clients: clientsOf(theirs) },
    maxPayload: theirs.options.maxPayload,
    handleProtocols: (offered: Set<string>, request: IncomingMessage) =>
      handshakes.protocolOf(offered, request, theirs.options.handleProtocols)
  })
  const server: Sockets = Object.create(theirs, {
    options: { value: options },
    // Otherwise `ws` would add a listener to each socket that removes the socket. Our sockets remove themselves.
    clients: { value: undefined },
    handleUpgrade: { value: WebSocketServer.prototype.handleUpgrade, configurable: true }
  })
  const { handleUpgrade } = theirs
  theirs.handleUpgrade = (request: IncomingMessage, stream: Duplex, head: Buffer, upgraded: unknown) => {
    if (handshakes.isOurs(request)) server.handleUpgrade(request, stream, head, upgraded as Upgraded as never)
    else handleUpgrade.call(theirs, request, stream, head, upgraded as never)
  }
  return { server, listener, isShared }
}

/** The set of sockets of a server, to which our sockets add themselves. As in `ws`, a server closes after the last. */
function clientsOf(server: Sockets): SocketContext['clients'] {
  const { clients } = server as { clients?: Sockets['clients'] }
  if (clients === undefined) return undefined
  return {
    add: (socket) => clients.add(socket),
    delete(socket) {
      const isThere = clients.delete(socket)
      if (clients.size === 0 && awaitsLastClose(server)) process.nextTick(() => server.emit('close'))
      return isThere
    }
  }
}

async function register(app: FastifyInstance): Promise<UpgradeListener> {
  const before = app.server.listeners('upgrade')
  await app.register(websocket, {
    options: { perMessageDeflate: false },
    errorHandler: handlerFailed as never,
    preClose: (done) => done()
  })
  refuseSecond(app)
  return app.server.listeners('upgrade').find((listener) => !before.includes(listener)) as UpgradeListener
}

function findListener(app: FastifyInstance): UpgradeListener {
  const sockets = app.websocketServer as Sockets
  // The preClose hook of @fastify/websocket calls back twice: again when the server is closed. This would end Fastify's
  // own close too early.
  const close = sockets.close.bind(sockets)
  sockets.close = (callback?: unknown) => {
    if (callback === undefined) close()
  }
  const listeners = app.server.listeners('upgrade')
  const listener = listeners.length === 1 ? listeners[0] : listeners.find(isThroughFastify)
  if (listener !== undefined) return listener as UpgradeListener
  throw new DependencyError('@fastify/websocket', 'its listener for upgrades is not found; leave its option server out')
}

/**
 * Refuses a second registration of @fastify/websocket. By default it throws an error that cannot be caught, about a
 * decorator that the application does not know. So the decorators of the second registration are ignored, and the
 * application fails to become ready, with a clear error.
 */
function refuseSecond(app: FastifyInstance): void {
  const { decorateRequest, decorate } = app
  let isLate = false
  app.decorateRequest = function (this: FastifyInstance, ...args: unknown[]) {
    isLate ||= args[0] === 'ws'
    return args[0] === 'ws' ? this : Reflect.apply(decorateRequest, this, args)
  } as FastifyInstance['decorateRequest']
  app.decorate = function (this: FastifyInstance, ...args: unknown[]) {
    return isLate && WEBSOCKET_DECORATORS.has(args[0]) ? this : Reflect.apply(decorate, this, args)
  } as FastifyInstance['decorate']
  app.addHook('onReady', async () => {
    if (isLate) throw new DependencyError('@fastify/websocket', LATE)
  })
}

/** Called if the handler of a route with `websocket: true` failed. The socket itself handles the faults of peers. */
function handlerFailed(thrown: Error, socket: RealtimeSocket): void {
  const err = loggable(thrown)
  socket.settings.log.error({ err, connection: socket.id }, 'socket handler failed')
  socket.closeWith(CLOSE.internalError)
}
