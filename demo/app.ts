import jwt from '@fastify/jwt'
import rateLimit from '@fastify/rate-limit'
import Fastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify'
import realtime from 'fastify-realtime'
import dashboard from 'fastify-realtime/dashboard'
import { collectDefaultMetrics, Registry } from 'prom-client'
import boards from './routes/boards.ts'
import breaking from './routes/break.ts'
import operations from './routes/operations.ts'
import page from './routes/page.ts'
import rooms from './routes/rooms.ts'
import sockets from './routes/sockets.ts'
import tokens from './routes/tokens.ts'
import { redisOption, type Settings } from './settings.ts'

// If a request's head arrives in drops, it ends with a 408 this long after it began, within the interval of the checks.
const HEADERS_TIMEOUT = 15_000
const REQUEST_TIMEOUT = 30_000
const CHECK_INTERVAL = 5_000
const BODY_LIMIT = 64 * 1024

/** The whole demo, not yet listening. */
export async function buildApp(
  settings: Settings,
  logger: FastifyServerOptions['logger'] = true
): Promise<FastifyInstance> {
  const app = Fastify({
    logger,
    // A client that keeps its connection for a next request must not delay the close.
    forceCloseConnections: 'idle',
    requestTimeout: REQUEST_TIMEOUT,
    http: { headersTimeout: HEADERS_TIMEOUT, connectionsCheckingInterval: CHECK_INTERVAL },
    bodyLimit: BODY_LIMIT,
    // By default the validator converts '5' to 5. Here a wrong type is reported instead.
    ajv: { customOptions: { coerceTypes: false } }
  })
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })

  await app.register(jwt, {
    secret: settings.jwtSecret,
    sign: { algorithm: 'HS256' },
    verify: { algorithms: ['HS256'] }
  })
  await app.register(rateLimit, { global: false })
  await app.register(realtime, {
    redis: redisOption(settings.redisUrl),
    heartbeat: settings.heartbeat,
    drain: settings.drain,
    metrics: registry
  })
  await app.register(page)
  await app.register(tokens, { adminKey: settings.adminKey })
  await app.register(sockets)
  await app.register(boards)
  await app.register(rooms)
  await app.register(dashboard, { prefix: '/dashboard', key: settings.adminKey })
  await app.register(operations, { registry })
  await app.register(breaking)
  return app
}
