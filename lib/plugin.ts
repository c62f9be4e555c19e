import type { IncomingMessage, Server } from 'node:http'
import type { Duplex } from 'node:stream'
import type { FastifyError, FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import type { Registry as PromRegistry } from 'prom-client'
import { otherServersOf, rootOf, silentConnections } from './dependencies.ts'
import { AlreadyRegisteredError, DependencyError, NoAuthenticationError } from './errors.ts'
import { Admission } from './handshake/admission.ts'
import { authenticationFault, subscriptionTokenFault } from './handshake/authentication.ts'
import { Gate } from './handshake/gate.ts'
import { handshakeOf } from './handshake/handshake.ts'
import { Places } from './handshake/places.ts'
import { Refusals } from './handshake/refusal.ts'
import { HttpSessions } from './http/http-sessions.ts'
import { isPromise } from './input/eventual.ts'
import { GuardedLog } from './input/guarded-log.ts'
import type { Drainer } from './node/drain.ts'
import { shareInsight } from './node/insight.ts'
import { makeBroker } from './node/make-broker.ts'
import { Node } from './node/node.ts'
import type { Deliver } from './node/relay.ts'
import type { RealtimeOptions, ResolvedOptions } from './options/options.ts'
import { resolveOptions } from './options/resolve-options.ts'
import { ChannelEndpoint } from './routes/channel-endpoint.ts'
import { ChannelRoutes, channelDecorator, channelNameDecorator } from './routes/channel-routes.ts'
import { watchOutside } from './routes/outside-routes.ts'
import { watchOrder } from './routes/registration-order.ts'
import { bodyScope } from './routes/request-body.ts'
import { RpcRoutes, rpcDecorator } from './routes/rpc-routes.ts'
import { prepareSocketRoutes, ws } from './routes/socket-routes.ts'
import { UpgradeRoutes } from './routes/upgrade-routes.ts'
import { takeSockets } from './routes/websocket-server.ts'
import './routes/types.ts'

// Maximum value of the header Retry-After, in seconds.
const MAX_RETRY_AFTER = 10
// Servers on which this package is registered. Decorators do not show this: a scope does not see those of its siblings.
const servers = new WeakSet<object>()

async function realtime(app: FastifyInstance, rawOptions: RealtimeOptions): Promise<void> {
  const options = checkRegistration(app, rawOptions)
  const log = new GuardedLog(app.log)
  const channels = new ChannelRoutes()
  const methods = new RpcRoutes()
  const broker = await makeBroker(options, (cause) => node.refused(cause))
  const sessions = new HttpSessions()
  const deliver: Deliver = (session, letter) => sessions.deliver(session, letter)
  const settingsOf = (stream: Duplex) => gate.settingsOf(stream)
  const node: Node = new Node(options, { broker, log, channels, deliver, settingsOf })
  const { wheel, metrics, drainer, presence, dismissals } = node
  const removeMetrics = await exportMetrics(node, options)
  const handshakes = {
    isOurs: (request: IncomingMessage) => handshakeOf(request) !== undefined,
    protocolOf: (offered: Set<string>, request: IncomingMessage, choose: unknown) =>
      gate.protocolOf(offered, request, choose)
  }
  const { server, listener, isShared } = await takeSockets(app, node.context, handshakes)
  const paths = new UpgradeRoutes(app)

  const refusals = new Refusals({
    server,
    wheel,
    log,
    retryAfter: () => 1 + Math.floor(Math.random() * MAX_RETRY_AFTER),
    refused: (error) => metrics.refused(refusalReason(error))
  })
  const { upgradeTimeout, connections: limits } = options.limits
  const isDraining = () => drainer.draining
  const mark = () => dismissals.mark()
  const arrivals = { paths, listener, isShared, log, wheel, upgradeTimeout, mark }
  const gate = new Gate(app.server as Server, { ...arrivals, refusals, isDraining })
  const places = new Places({ broker, wheel, limits, evict: (id) => node.evict(id) })
  const admission = new Admission({ server, wheel, places, refusals, dismissals, isDraining })

  app.decorate('realtime', node.realtime)
  app.decorate('ws', ws as FastifyInstance['ws'])
  const { scope } = await bodyScope(app)
  const parts = { node, admission, refusals, sessions, scope, channels, methods }
  const endpoint = new ChannelEndpoint(app, parts, options)
  const declared = () => endpoint.declare()
  shareInsight(node.realtime, {
    node,
    kind: options.redis === undefined ? 'memory' : 'redis',
    historyOf: (channel) => channels.find(channel)?.definition.history,
    isGuarded: (instance) => endpoint.isGuarded(instance)
  })
  const tokenFault = subscriptionTokenFault(app, options.auth)
  app.decorate('channel', channelDecorator(channels, declared, tokenFault) as FastifyInstance['channel'])
  app.decorate('channelName', channelNameDecorator(channels) as FastifyInstance['channelName'])
  app.decorate('rpc', rpcDecorator(methods, declared) as FastifyInstance['rpc'])
  // This hook has a callback, because most handshakes wait for nothing. A promise costs more than most of the checks.
  app.addHook('onRequest', (request, reply, done) => {
    const admitted = admission.admit(request, reply)
    if (isPromise<boolean>(admitted)) admitted.then((goesOn) => goesOn && done(), done)
    else if (admitted) done()
  })
  prepareSocketRoutes(app, options, { admission, refusals, paths })
  watchOutside(app, () => paths.any)
  watchOrder(app, options.auth)
  drainBeforeClose(rootOf(app), drainer)
  closeSilentConnections(app)
  app.addHook('onListen', async () => otherServersOf(app).forEach(gate.watch))
  app.addHook('preClose', async () => {
    await drainer.drain()
    app.websocketServer.close()
  })
  app.addHook('onClose', async () => {
    gate.close()
    node.roster.leave()
    await presence.settled()
    await broker.close()
    removeMetrics()
  })
  app.addHook('onReady', async () => {
    if (options.redis === undefined) app.log.info('no redis: channels are in memory and reach this process only')
  })
  await node.start()
}

async function exportMetrics({ metrics }: Node, options: ResolvedOptions): Promise<() => void> {
  if (options.metrics === undefined) return () => undefined
  // An application with a registry has the package. The catch is for bundlers, which otherwise require the package.
  const prom = await import('prom-client').catch((cause) => {
    throw Object.assign(new DependencyError('prom-client', 'install it, or leave out the option metrics'), { cause })
  })
  return metrics.export(prom, options.metrics as PromRegistry)
}

/**
 * Drains before `app.close()` does anything else, for two reasons. Fastify limits a preClose hook to `pluginTimeout`
 * (10 s), and then `app.close()` rejects: a drain may take longer. And if the application itself registered
 * @fastify/websocket, the preClose hook of that plugin closes all clients at once, without a code. Our own preClose
 * hook is for a close that does not call `app.close()`.
 */
function drainBeforeClose(app: FastifyInstance, drainer: Drainer): void {
  const close = app.close as (callback?: () => void) => Promise<undefined>
  app.close = ((callback?: () => void) => {
    const closing = drainer.drain().then(() => close(callback))
    return callback === undefined ? closing : undefined
  }) as FastifyInstance['close']
}

/**
 * Browsers and HTTP clients open connections in advance, and may never use them. Node would let such a connection keep
 * the server from closing for a minute (`headersTimeout`).
 */
function closeSilentConnections(app: FastifyInstance): void {
  const server = app.server as Server
  const close = server.close.bind(server)
  const destroySilent = (one: Server) => {
    for (const socket of silentConnections(one)) socket.destroy()
  }
  server.close = (callback) => {
    // Fastify closes the other servers once the first one is closed. This listener was added after that of Fastify.
    server.once('close', () => otherServersOf(app).forEach(destroySilent))
    const closing = close(callback)
    destroySilent(server)
    return closing
  }
}

/** Checks the registration. Throws an error that says how to fix the mistake. */
function checkRegistration(app: FastifyInstance, options: RealtimeOptions): ResolvedOptions {
  if (servers.has(app.server)) throw new AlreadyRegisteredError()
  const resolved = resolveOptions(options)
  const { auth } = resolved
  const fault = auth === false ? undefined : authenticationFault(app, auth)
  if (fault !== undefined) throw new NoAuthenticationError(fault)
  servers.add(app.server)
  return resolved
}

/** The label of a refusal in the metrics: one of a few values, and never a text from a client. */
function refusalReason(error: FastifyError): string {
  const { code, statusCode } = error as Partial<FastifyError>
  if (typeof code === 'string' && code.startsWith('FST_RT_')) return code.slice('FST_RT_'.length).toLowerCase()
  return statusCode === 429 ? 'rate_limited' : 'error'
}

export default fp(realtime, { name: 'fastify-realtime', fastify: '5.x' })
