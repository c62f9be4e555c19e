import jwt from '@fastify/jwt'
import Fastify from 'fastify'
import realtime from 'fastify-realtime'
import { BACKLOG, HOST, listening, MESSAGE, SECRET } from './support.ts'

/*
 * This package, as an application uses it. All its defaults are on, but the limits on messages and bytes a second,
 * which the load is above.
 */
const CHANNEL = 'bench'
const KEPT = 'kept'
const open = { realtime: { auth: false } } as const

const app = Fastify()
await app.register(jwt, { secret: SECRET })
await app.register(realtime, { redis: process.env.REDIS_URL, limits: { messages: false, bytes: false } })
app.channel(CHANNEL, { onSubscribe: true })
app.channel(KEPT, { onSubscribe: true, history: { size: 1_000, ttl: 600_000 } })

app.ws('/sub', { config: open }, async (socket) => {
  await socket.subscribe(CHANNEL)
  for await (const _ of socket.messages());
})
app.ws('/pub', { config: open }, async (socket) => {
  // What is sent in one turn is published in one: awaiting each would wait for Redis in between.
  for await (const message of socket.messages()) void socket.publish(CHANNEL, message)
})
app.ws('/sub-kept', { config: open }, async (socket) => {
  await socket.subscribe(KEPT)
  for await (const _ of socket.messages());
})
app.ws('/pub-kept', { config: open }, async (socket) => {
  for await (const message of socket.messages()) void socket.publish(KEPT, message)
})
// Publishing from elsewhere in the application: the plain route stands for a queue's consumer.
app.get('/pub-api', { websocket: true, config: open }, (socket) => {
  socket.on('message', (data: Buffer) => app.realtime.publish(CHANNEL, JSON.parse(data.toString())))
})
app.ws('/echo', { config: open, schema: { message: MESSAGE } }, async (socket) => {
  for await (const message of socket.messages()) socket.sendJson(message)
})
app.ws('/idle', { config: open }, async (socket) => {
  for await (const _ of socket.messages());
})
app.ws('/token', async (socket) => {
  for await (const _ of socket.messages());
})

await app.listen({ port: 0, host: HOST, backlog: BACKLOG })
listening(app.server)
