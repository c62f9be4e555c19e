import type { FastifyPluginAsync } from 'fastify'
import type { Registry } from 'prom-client'

// Asked every few seconds by machines: a line for each would bury the rest.
const quiet = { logLevel: 'warn' } as const

/** What those who run the demo ask it: is it alive, does it want traffic, how is it doing. */
const operations: FastifyPluginAsync<{ registry: Registry }> = async (app, { registry }) => {
  app.get('/health', quiet, async () => ({ status: 'ok' }))

  app.get('/ready', quiet, async (_request, reply) => {
    const ready = app.realtime.ready()
    return reply.code(ready ? 200 : 503).send({ ready, draining: app.realtime.draining })
  })

  app.get('/metrics', quiet, async (_request, reply) => reply.type(registry.contentType).send(await registry.metrics()))
}

export default operations
