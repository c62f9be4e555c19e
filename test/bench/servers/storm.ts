import jwt from '@fastify/jwt'
import Fastify from 'fastify'
import realtime from 'fastify-realtime'
import { BACKLOG, HOST, listening, SECRET, STORM } from './support.ts'

/* This package with many channels that have something to recover. */
const app = Fastify()
await app.register(jwt, { secret: SECRET })
await app.register(realtime, { redis: process.env.REDIS_URL, limits: { messages: false } })
app.channel('storm/:n', { onSubscribe: true, history: { size: 100, ttl: 600_000 } })

// Subscribes to the channels that a message names, from their beginning, and reports each.
app.ws('/subscribe', { config: { realtime: { auth: false } } }, async (socket) => {
  for await (const channels of socket.messages() as AsyncIterable<readonly string[]>) {
    for (const channel of channels) {
      const since = { offset: 0, epoch: epochs.get(channel) as string }
      void socket.subscribe(channel, { since }).then(({ recovered }) => socket.sendJson({ channel, recovered }))
    }
  }
})

await app.listen({ port: 0, host: HOST, backlog: BACKLOG })
const epochs = new Map<string, string>()
for (const channel of STORM.channels) {
  const data = { type: 'msg', text: 'x'.repeat(100) }
  const published = await Promise.all(Array.from({ length: STORM.kept }, () => app.realtime.publish(channel, data)))
  epochs.set(channel, published[0]?.epoch ?? '')
}
listening(app.server)
