import type { AddressInfo } from 'node:net'
import Fastify from 'fastify'
import { Registry } from 'prom-client'
import realtime from '../../lib/index.ts'

/*
 * A server that counts what it holds, for `cycles.test.ts`: started with `--expose-gc` and an IPC channel, it answers
 * each message with its heap after garbage collection and what else could be left behind.
 */
const metrics = new Registry()
const app = Fastify({ forceCloseConnections: true })
await app.register(realtime, {
  auth: { verify: () => ({ sub: 'user', exp: Math.floor(Date.now() / 1000) + 3600 }) },
  limits: { connections: { total: 10_000, perUser: 10_000, perAddress: 10_000 } },
  metrics
})
app.channel('rooms/:room', { onSubscribe: true, history: { size: 2, ttl: 60_000 } })
app.ws('/rooms/:room', async (socket, request) => {
  const { room } = request.params as { room: string }
  socket.signal.addEventListener('abort', () => {})
  await socket.subscribe(`rooms/${room}`)
  for await (const message of socket.messages()) await socket.publish(`rooms/${room}`, message)
})
await app.listen({ port: 0, host: '127.0.0.1' })

async function figures() {
  const gc = globalThis.gc as () => void
  // What the last turn left to be finalised is gone after the second.
  for (let i = 0; i < 2; i++) {
    gc()
    await new Promise((resolve) => setImmediate(resolve))
  }
  const value = async (name: string) => ((await metrics.getSingleMetric(name)?.get())?.values ?? [])[0]?.value ?? 0
  const resources = process.getActiveResourcesInfo()
  return {
    heap: process.memoryUsage().heapUsed,
    connections: app.realtime.connections().length,
    gauge: await value('realtime_connections'),
    channels: await value('realtime_channels'),
    sockets: resources.filter((name) => name === 'TCPSocketWrap').length,
    timers: resources.filter((name) => name === 'Timeout').length,
    listeners: app.server.eventNames().reduce((sum, name) => sum + app.server.listenerCount(name), 0)
  }
}

process.on('message', async () => process.send?.(await figures()))
process.on('disconnect', () => process.exit())
process.send?.({ port: (app.server.address() as AddressInfo).port })
