import type { FastifyPluginAsync } from 'fastify'
import type { Registry } from 'prom-client'

// Machines call these every few seconds: a log line for each call would hide the rest.
const quiet = { logLevel: 'warn' } as const

/** The routes for operators: whether the demo is alive, whether it is ready for traffic, and its metrics. */
const operations: FastifyPluginAsync<{ registry: Registry }> = async (app, { registry }) => {
  app.get('/health', quiet, async () => ({ status: 'ok' }))

  app.get('/ready', quiet, async (_request, reply) => {
    const ready = app.realtime.ready()
    return reply.code(ready ? 200 : 503).send({ ready, draining: app.realtime.draining })
  })

  app.get('/metrics', quiet, async (_request, reply) => reply.type(registry.contentType).send(await registry.metrics()))
}

export default operations
