import jwt from '@fastify/jwt'
import Fastify from 'fastify'
import realtime from 'fastify-realtime'
import { Registry } from 'prom-client'
import { BACKLOG, CHANNEL, HOST, listening, SECRET } from './support.ts'

/* Clients of the channel protocol over each transport. The server subscribes those that ask for it as they connect. */

const EVERYTHING = 1_000_000
const TIB = 2 ** 40

const app = Fastify()
await app.register(jwt, { secret: SECRET })
await app.register(realtime, {
  limits: {
    messages: { rate: EVERYTHING, burst: EVERYTHING },
    bytes: { rate: TIB, burst: TIB },
    connections: { total: EVERYTHING, perAddress: EVERYTHING }
  },
  channels: { onConnect: ({ data }) => ({ subscriptions: data === CHANNEL ? [CHANNEL] : [] }) },
  metrics: new Registry()
})
app.channel(CHANNEL, {})
app.ws('/pub', { config: { realtime: { auth: false } } }, async (socket) => {
  for await (const message of socket.messages()) void socket.publish(CHANNEL, message)
})

await app.listen({ port: 0, host: HOST, backlog: BACKLOG })
listening(app.server)
