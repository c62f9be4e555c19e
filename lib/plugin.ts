import type { IncomingMessage, Server } from 'node:http'
import type { FastifyError, FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import type { Registry as PromRegistry } from 'prom-client'
import { ChannelEndpoint } from './channel-endpoint.ts'
import { channelDecorator, channelNameDecorator } from './channel-routes.ts'
import type { Drainer } from './drain.ts'
import { AlreadyRegisteredError, NoAuthenticationError, NotRootError } from './errors.ts'
import { Admission } from './handshake/admission.ts'
import { authenticationFault } from './handshake/authentication.ts'
import { Gate } from './handshake/gate.ts'
import { Node } from './node.ts'
import type { RealtimeOptions, ResolvedOptions } from './options.ts'
import { resolveOptions } from './resolve-options.ts'
import { rpcDecorator } from './rpc-routes.ts'
import { prepareSocketRoutes, ws } from './socket-routes.ts'
import { takeSockets } from './websocket-server.ts'
import './types.ts'

// Seconds.
const MAX_RETRY_AFTER = 10

async function realtime(app: FastifyInstance, rawOptions: RealtimeOptions): Promise<void> {
  const options = checkRegistration(app, rawOptions)
  const node = new Node(options, app.log, (stream) => gate.settingsOf(stream))
  const { broker, wheel, metrics, drainer, channels, methods, presence, dismissals } = node
  if (options.metrics !== undefined) metrics.export(await import('prom-client'), options.metrics as PromRegistry)
  const server = await takeSockets(app, node.context)

  const refusals = {
    isDraining: () => drainer.draining,
    retryAfter: () => 1 + Math.floor(Math.random() * MAX_RETRY_AFTER),
    refused: (error: FastifyError) => metrics.refused(refusalReason(error))
  }
  const { upgradeTimeout, connections } = options.limits
  const gate = new Gate(app.server as Server, { upgradeTimeout, ...refusals })
  const admission = new Admission({ gate, server, broker, wheel, limits: connections, dismissals, ...refusals })
  server.options.handleProtocols = (_offered: Set<string>, request: IncomingMessage) => gate.protocolOf(request)

  app.decorate('realtime', node.realtime)
  app.decorate('ws', ws as FastifyInstance['ws'])
  const endpoint = new ChannelEndpoint(app, node, options, admission)
  const declared = () => endpoint.declare()
  app.decorate('channel', channelDecorator(channels, declared) as FastifyInstance['channel'])
  app.decorate('channelName', channelNameDecorator(channels) as FastifyInstance['channelName'])
  app.decorate('rpc', rpcDecorator(methods, declared) as FastifyInstance['rpc'])
  app.addHook('onRequest', (request, reply) => admission.admit(request, reply))
  prepareSocketRoutes(app, options, admission)
  drainBeforeClose(app, drainer)
  app.addHook('preClose', async () => {
    await drainer.drain()
    server.close()
  })
  app.addHook('onClose', async () => {
    gate.close()
    await presence.settled()
    await broker.close()
  })
  await node.start()
}

/**
 * Fastify gives a preClose hook `pluginTimeout` (10 s), less than a drain may take, and then `app.close()` rejects. And
 * the preClose hook of an @fastify/websocket that the application registered itself closes all clients at once, without
 * a code. So the drain comes before everything that `app.close()` does; the hook is for a close that came another way.
 */
function drainBeforeClose(app: FastifyInstance, drainer: Drainer): void {
  const close = app.close as (callback?: () => void) => Promise<undefined>
  app.close = ((callback?: () => void) => {
    const closing = drainer.drain().then(() => close(callback))
    return callback === undefined ? closing : undefined
  }) as FastifyInstance['close']
}

/** Mistakes of whoever registers, each with a sentence that says how to mend it. */
function checkRegistration(app: FastifyInstance, options: RealtimeOptions): ResolvedOptions {
  if (app.hasDecorator('realtime')) throw new AlreadyRegisteredError()
  // A child instance has its parent for prototype.
  if ('register' in Object.getPrototypeOf(app)) throw new NotRootError()
  const resolved = resolveOptions(options)
  const { auth } = resolved
  const fault = auth === false ? undefined : authenticationFault(app, auth)
  if (fault !== undefined) throw new NoAuthenticationError(fault)
  return resolved
}

/** A metric's label: one of few, never what a client sent. */
function refusalReason(error: FastifyError): string {
  const { code, statusCode } = (error ?? {}) as Partial<FastifyError>
  if (typeof code === 'string' && code.startsWith('FST_RT_')) return code.slice('FST_RT_'.length).toLowerCase()
  return statusCode === 429 ? 'rate_limited' : 'error'
}

export default fp(realtime, { name: 'fastify-realtime', fastify: '5.x' })
