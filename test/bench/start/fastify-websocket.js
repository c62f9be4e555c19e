import { started } from './started.js'

/* Control: @fastify/websocket with the same authentication and one route. */
await started(async () => {
  const [{ default: Fastify }, { default: jwt }, { default: websocket }] = [
    await import('fastify'),
    await import('@fastify/jwt'),
    await import('@fastify/websocket')
  ]
  const app = Fastify()
  await app.register(jwt, { secret: 'a secret of the benchmark, which nobody else uses' })
  await app.register(websocket)
  app.get('/socket', { websocket: true, preValidation: (request) => request.jwtVerify() }, (socket) => {
    socket.on('message', () => {})
  })
  return app
})
