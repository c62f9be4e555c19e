import type { IncomingMessage, Server } from 'node:http'
import type { Duplex } from 'node:stream'
import websocket from '@fastify/websocket'
import type { FastifyError, FastifyInstance, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { WebSocketServer } from 'ws'
import type { Broker, BrokerListener } from './broker/broker.ts'
import { MemoryBroker } from './broker/memory.ts'
import { RedisBroker } from './broker/redis.ts'
import { ChannelRoutes, channelDecorator } from './channel-routes.ts'
import { CONTROL_CHANNEL, Control } from './channels/control.ts'
import { socketFormat } from './channels/feed.ts'
import { Hub } from './channels/hub.ts'
import { UserRates } from './channels/user-rates.ts'
import { Drainer } from './drain.ts'
import { AlreadyRegisteredError, NoAuthenticationError, NotRootError } from './errors.ts'
import { Admission } from './handshake/admission.ts'
import { hasJwt } from './handshake/authentication.ts'
import { Gate } from './handshake/gate.ts'
import { Metrics } from './metrics.ts'
import { type RealtimeOptions, type ResolvedOptions, resolveOptions } from './options.ts'
import { CLOSE } from './protocol/close-codes.ts'
import { Realtime } from './realtime.ts'
import type { SocketContext, Streams } from './socket/context.ts'
import { kContext, RealtimeSocket } from './socket/realtime-socket.ts'
import { Registry } from './socket/registry.ts'
import { systemClock, TimerWheel } from './socket/timer-wheel.ts'
import { Turn } from './socket/turn.ts'
import { prepareSocketRoutes, ws } from './socket-routes.ts'
import './types.ts'

// Deadlines are met this many milliseconds late at most.
const RESOLUTION = 50
// A peer that doesn't answer a close is cut after this; ws would wait 30 s, and app.close() with it.
const CLOSE_TIMEOUT = 2_000
const MAX_RETRY_AFTER = 10

type Sockets = WebSocketServer & { options: Record<string | symbol, unknown> }

async function realtime(app: FastifyInstance, rawOptions: RealtimeOptions): Promise<void> {
  if (app.hasDecorator('realtime')) throw new AlreadyRegisteredError()
  // A child instance has its parent for prototype.
  if ('register' in Object.getPrototypeOf(app)) throw new NotRootError()
  const options = resolveOptions(rawOptions)
  if (options.auth !== false && options.auth.verify === undefined && !hasJwt(app)) throw new NoAuthenticationError()

  const { random } = Math
  const retryAfter = () => 1 + Math.floor(random() * MAX_RETRY_AFTER)
  const wheel = new TimerWheel(systemClock, RESOLUTION)
  const turn = new Turn()
  const registry = new Registry()
  const broker = makeBroker(options)
  const failed = (stage: string, err: unknown) => app.log.warn({ err, stage }, 'realtime broker')
  const channels = new ChannelRoutes()
  const hub = new Hub({
    broker,
    turn,
    wheel,
    historyOf: (channel) => channels.historyOf(channel),
    failed,
    repaired: (complete) => metrics.repaired(complete)
  })
  const userRates = new UserRates({ broker, wheel, failed })
  const control = new Control({ broker, hub, registry, wheel, failed })
  const metrics = new Metrics({
    registry,
    channels: () => hub.channels,
    brokerUp: () => broker.up,
    draining: () => drainer.draining
  })
  const drainer = new Drainer({
    registry,
    clock: systemClock,
    random,
    log: app.log,
    drain: options.drain,
    started: () => {
      context.ignoresBareClose = false
    },
    finished: (summary) => metrics.drained(summary)
  })
  if (options.metrics !== undefined) metrics.export(await import('prom-client'), options.metrics)

  const context: SocketContext = {
    wheel,
    turn,
    random,
    streams: streamsOf(hub),
    observer: {
      opened: (socket) => {
        registry.add(socket)
        metrics.opened(socket)
      },
      identified: (socket) => registry.identify(socket),
      closed: (socket, code) => {
        registry.delete(socket)
        metrics.closed(socket, code)
      },
      received: (bytes) => metrics.received(bytes),
      rejected: (reason) => metrics.rejected(reason),
      roundTrip: (milliseconds) => metrics.roundTrip(milliseconds),
      heartbeatTimeout: () => metrics.heartbeatTimeout()
    },
    userRate: (user, rate) => userRates.take(user, rate),
    settingsOf: (stream: Duplex) => gate.settingsOf(stream),
    ignoresBareClose: false
  }

  const sockets = await takeSockets(app, context)
  const refused = (error: FastifyError) => metrics.refused(refusalReason(error))
  const isDraining = () => drainer.draining
  const gate = new Gate(app.server as Server, {
    upgradeTimeout: options.limits.upgradeTimeout,
    isDraining,
    retryAfter,
    refused
  })
  sockets.options.handleProtocols = (_offered: Set<string>, request: IncomingMessage) => gate.protocolOf(request)
  const admission = new Admission({
    gate,
    server: sockets,
    broker,
    wheel,
    limits: options.limits.connections,
    isDraining,
    retryAfter,
    refused
  })

  app.decorate('realtime', new Realtime({ broker, hub, registry, drainer, control }))
  app.decorate('ws', ws as FastifyInstance['ws'])
  app.decorate('channel', channelDecorator(channels) as FastifyInstance['channel'])
  app.addHook('onRequest', (request, reply) => admission.admit(request, reply))
  prepareSocketRoutes(app, options, admission)
  await startBroker(app, broker, {
    publication: (channel, publication) => {
      if (channel === CONTROL_CHANNEL) control.receive(publication)
      else hub.receive(channel, publication)
    },
    presence: () => {},
    control: () => {},
    audit: (channels) => {
      void control.audit()
      hub.audit(channels)
    },
    up: () => void control.listen()
  })
  app.addHook('preClose', async () => {
    await drainer.drain()
    sockets.close()
  })
  app.addHook('onClose', async () => {
    gate.close()
    await broker.close()
  })
}

/**
 * Starts the broker, and logs when it goes and comes. A broker that is away at boot doesn't hold up the application:
 * it starts not ready. One that can never be used (credentials, permissions) fails the registration.
 */
async function startBroker(
  app: FastifyInstance,
  broker: Broker,
  listener: Omit<BrokerListener, 'state'> & { up(): void }
) {
  let wasAway = false
  let away: () => void = () => {}
  const firstFailure = new Promise<void>((resolve) => {
    away = resolve
  })
  const started = broker.start({
    ...listener,
    state(up, err) {
      if (!up) app.log.warn({ err }, 'broker is away')
      else if (wasAway) app.log.warn('broker is back')
      wasAway = !up
      if (up) listener.up()
      else away()
    }
  })
  started.catch((err) => {
    if (wasAway) app.log.error({ err }, 'broker cannot be used')
  })
  await Promise.race([started, firstFailure])
}

function makeBroker({ redis, prefix }: ResolvedOptions): Broker {
  return redis === undefined ? new MemoryBroker() : new RedisBroker({ redis, prefix })
}

function streamsOf(hub: Hub): Streams {
  return {
    subscribe: (socket, channel, options) => hub.subscribe(socket, channel, socketFormat, options),
    unsubscribe: (socket, channel) => hub.unsubscribe(socket, channel),
    publish: (channel, data, options) => hub.publish(channel, data, options),
    closed: (socket) => hub.unsubscribeAll(socket),
    caughtUp: (socket) => hub.caughtUp(socket)
  }
}

/** @fastify/websocket's server, registered here or by the application before, made to use our sockets. */
async function takeSockets(app: FastifyInstance, context: SocketContext): Promise<Sockets> {
  const ours = { WebSocket: RealtimeSocket, closeTimeout: CLOSE_TIMEOUT, [kContext]: context }
  if (!app.hasPlugin('@fastify/websocket')) {
    await app.register(websocket, {
      options: { ...ours, perMessageDeflate: false } as object,
      errorHandler: handlerFailed as never,
      preClose: (done) => done()
    })
    return app.websocketServer as Sockets
  }
  const sockets = app.websocketServer as Sockets
  Object.assign(sockets.options, ours)
  standInForPreClose(app, sockets, context)
  return sockets
}

/**
 * The application registered @fastify/websocket itself, whose hook closes every client at once, without a code, before
 * ours can drain. From the call of `app.close()` to the start of the drain a bare `close()` is therefore not obeyed.
 */
function standInForPreClose(app: FastifyInstance, sockets: Sockets, context: SocketContext): void {
  const close = app.close as () => Promise<undefined>
  app.close = (() => {
    context.ignoresBareClose = !app.realtime.draining
    return close()
  }) as FastifyInstance['close']
  const closeSockets = sockets.close.bind(sockets)
  // It calls back a second time once the server is closed, which would end Fastify's own close early.
  sockets.close = (callback?: unknown) => {
    if (callback === undefined) closeSockets()
  }
}

/** A plain route's handler threw or rejected. Faults of peers don't come here: the socket sees to them. */
function handlerFailed(err: Error, socket: RealtimeSocket, request: FastifyRequest): void {
  request.log.error({ err, connection: socket.id }, 'socket handler failed')
  socket.closeWith(CLOSE.internalError)
}

function refusalReason(error: FastifyError): string {
  const { code, statusCode } = (error ?? {}) as Partial<FastifyError>
  if (typeof code === 'string' && code.startsWith('FST_RT_')) return code.slice('FST_RT_'.length).toLowerCase()
  return statusCode === 429 ? 'rate_limited' : 'error'
}

export default fp(realtime, { name: 'fastify-realtime', fastify: '5.x' })
