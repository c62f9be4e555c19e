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

// A peer that doesn't answer a close is cut after this; ws would wait 30 s, and app.close() with it.
const CLOSE_TIMEOUT = 2_000
const LATE = 'fastify-realtime has registered it already. Leave yours out, or register it before fastify-realtime'

type Upgraded = (socket: RealtimeSocket, request: IncomingMessage) => void

/** What the sockets' server asks of the handshakes. */
export interface Handshakes {
  /** True for an upgrade that came through our gate. */
  isOurs(request: IncomingMessage): boolean
  /**
   * The protocol to answer with. `choose` is what the application, or a library, has set for choosing.
   * @param offered Those that are no credentials.
   */
  protocolOf(offered: Set<string>, request: IncomingMessage, choose: unknown): string | false
}

export interface TakenSockets {
  /** Makes our sockets. */
  readonly server: Sockets
  /** @fastify/websocket's listener for upgrades. */
  readonly listener: UpgradeListener
  /** True if the application registered it. */
  readonly isShared: boolean
}

/**
 * @fastify/websocket's server, registered here or by the application before, with a view of it that makes our sockets.
 * The options of the view are its own where this package needs others, and those of the server, as they are at the time,
 * in all else: libraries set some of them late.
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
    // Else `ws` would add a listener to each socket, to take it out again. Ours do that by themselves.
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

/** The sockets that a server tracks, for ours to add themselves. As `ws` does, the last one lets a server close. */
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
  // Its preClose hook calls back a second time once the server is closed, which would end Fastify's own close early.
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
 * Its second registration would throw where nobody can catch it, and about a decorator that only it knows. So its
 * decorators are passed over, and the application does not become ready.
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

/** A plain route's handler threw or rejected. Faults of peers don't come here: the socket sees to them. */
function handlerFailed(thrown: Error, socket: RealtimeSocket): void {
  const err = loggable(thrown)
  socket.settings.log.error({ err, connection: socket.id }, 'socket handler failed')
  socket.closeWith(CLOSE.internalError)
}
