import type { AddressInfo } from 'node:net'
import Fastify from 'fastify'
import realtime from '../../lib/index.ts'

/*
 * A server whose process does not wait for its drain, for `early-exit.test.ts`: it ends before the first connection
 * is closed, as under fastify-cli without `-g` (500 ms after SIGTERM).
 */
// A busy machine needs some of this until the notices are out.
const EXIT_AFTER = 1_500

const app = Fastify()
await app.register(realtime, {
  auth: false,
  redis: process.env.REDIS_URL,
  drain: { delay: 2_000, window: 10_000, timeout: 15_000 }
})
app.channel('rooms/:room', { history: { size: 1_000, ttl: 600_000 } })
app.ws('/live', async (socket) => {
  for await (const message of socket.messages()) socket.sendJson(message)
})
app.ws('/rooms/:room', { queued: true, respond: () => ({ pid: process.pid }) }, async (socket, request) => {
  const { room } = request.params as { room: string }
  await socket.subscribe(`rooms/${room}`)
  for await (const message of socket.messages()) {
    await socket.publish('rooms/sent', message, { idempotencyKey: socket.messageKey })
  }
})
await app.listen({ port: 0, host: '127.0.0.1' })

process.once('SIGTERM', () => {
  void app.close()
  setTimeout(() => process.exit(1), EXIT_AFTER)
})
process.send?.({ port: (app.server.address() as AddressInfo).port })
