import Fastify from 'fastify'
import realtime from 'fastify-realtime'
import { Registry } from 'prom-client'
import { HISTORY, listening, publishing } from './support.ts'

/* This package as a publisher without clients, over Redis. */
const app = Fastify()
await app.register(realtime, { auth: false, redis: process.env.REDIS_URL, metrics: new Registry() })
app.channel('many/:name', { onSubscribe: true, history: HISTORY })
await app.ready()

async function publish(channels: readonly string[], data: unknown): Promise<void> {
  await Promise.all(channels.map((channel) => app.realtime.publish(channel, data)))
}

listening(undefined, { publish: () => publishing(publish) })
