import { monitorEventLoopDelay } from 'node:perf_hooks'
import jwt from '@fastify/jwt'
import Fastify from 'fastify'
import realtime from 'fastify-realtime'
import { Registry } from 'prom-client'
import { BACKLOG, CHANNEL, HOST, listening, MESSAGE, SECRET } from './support.ts'

/*
 * This package, as an application uses it, with all guards on: JWT, heartbeat, rates of messages and bytes (above the
 * load), limits of connections, bounds, and a metrics registry.
 */
const KEPT = 'kept'
// Coprime with any number of channels that ends in zeros: all of them get their turn.
const STRIDE = 7_919
const EVERYTHING = 1_000_000
const TIB = 2 ** 40
// Milliseconds between two looks at the event loop.
const RESOLUTION = 5

// Milliseconds. 25,000 is the default.
const HEARTBEAT = Number(process.env.HEARTBEAT ?? 25_000)

const app = Fastify()
await app.register(jwt, { secret: SECRET })
await app.register(realtime, {
  redis: process.env.REDIS_URL,
  heartbeat: { interval: HEARTBEAT },
  limits: {
    messages: { rate: EVERYTHING, burst: EVERYTHING },
    bytes: { rate: TIB, burst: TIB },
    connections: { total: EVERYTHING, perAddress: EVERYTHING }
  },
  metrics: new Registry()
})
const options = { onSubscribe: true, onPublish: true, publishers: 'clients' } as const
app.channel(CHANNEL, options)
app.channel(KEPT, { ...options, history: { size: 1_000, ttl: 600_000 } })
app.channel('many/:name', options)

app.ws('/sub', async (socket) => {
  await socket.subscribe(CHANNEL)
  for await (const _ of socket.messages());
})
app.ws('/pub', async (socket) => {
  // Messages of one turn are published in one turn. With an await, each would wait for Redis.
  for await (const message of socket.messages()) void socket.publish(CHANNEL, message)
})
app.ws('/sub-kept', async (socket) => {
  await socket.subscribe(KEPT)
  for await (const _ of socket.messages());
})
app.ws('/pub-kept', async (socket) => {
  for await (const message of socket.messages()) void socket.publish(KEPT, message)
})
// The application publishes outside of a handler. The raw route stands for the consumer of a queue.
app.get('/pub-api', { websocket: true }, (socket) => {
  socket.on('message', (data: Buffer) => app.realtime.publish(CHANNEL, JSON.parse(data.toString())))
})
app.ws('/pub-many', async (socket, request) => {
  const channels = Number((request.query as { channels: string }).channels)
  let at = 0
  for await (const message of socket.messages()) {
    at = (at + STRIDE) % channels
    void socket.publish(`many/${at}`, message)
  }
})
app.ws('/subscribe', async (socket) => {
  for await (const channels of socket.messages() as AsyncIterable<readonly string[]>) {
    for (const channel of channels) await socket.subscribe(channel)
    socket.sendJson({ subscribed: channels.length })
  }
})
app.ws('/echo', { schema: { message: MESSAGE } }, async (socket) => {
  for await (const message of socket.messages()) socket.sendJson(message)
})
app.ws('/idle', async (socket) => {
  for await (const _ of socket.messages());
})
app.get('/raw', { websocket: true }, (socket) => {
  socket.on('message', () => {})
})

/** Closes the application, with connections that have to leave. */
async function drain(): Promise<{ loop: number; cpu: number }> {
  const loop = monitorEventLoopDelay({ resolution: RESOLUTION })
  const before = process.cpuUsage()
  loop.enable()
  await app.close()
  loop.disable()
  const { user, system } = process.cpuUsage(before)
  return { loop: loop.percentile(99) / 1e6, cpu: (user + system) / 1e3 }
}

await app.listen({ port: 0, host: HOST, backlog: BACKLOG })
listening(app.server, { drain, connections: () => app.realtime.connections().length })
