import { started } from './started.js'

/* The built package: an application with authentication, one route and one channel. */
await started(async () => {
  const [{ default: Fastify }, { default: jwt }, { default: realtime }] = [
    await import('fastify'),
    await import('@fastify/jwt'),
    await import('fastify-realtime')
  ]
  const app = Fastify()
  await app.register(jwt, { secret: 'a secret of the benchmark, which nobody else uses' })
  await app.register(realtime)
  app.channel('news', { onSubscribe: true })
  app.ws('/socket', (socket) => socket.on('message', () => {}))
  return app
})
