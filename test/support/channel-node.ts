import jwt from '@fastify/jwt'
import Fastify from 'fastify'
import realtime from '../../lib/index.ts'
import { testSecret } from '../../lib/testing/index.ts'

/*
 * One node with channels, as a process of its own: `channel-node.ts <redis url> <prefix>`. Says where it listens to
 * its parent; SIGTERM drains it.
 */

const [redis, prefix] = process.argv.slice(2)
const app = Fastify()
await app.register(jwt, { secret: testSecret })
await app.register(realtime, {
  redis,
  prefix,
  drain: { window: 300, timeout: 5_000 },
  channels: { onConnect: ({ user }) => ({ subscriptions: [`users/${user?.sub}`] }) }
})
app.channel('users/:user', { history: { size: 1_000, ttl: 60_000 } })
app.channel('rooms/:room', {
  onSubscribe: true,
  history: { size: 1_000, ttl: 60_000 },
  presence: { ttl: 1_500 },
  joinLeave: true,
  onPublish: () => undefined
})
app.channel('short/:room', { onSubscribe: true, history: { size: 5, ttl: 60_000 } })
app.channel('texts/:room', { onSubscribe: true, history: { size: 1_000, ttl: 60_000 }, delta: true })
app.channel('prices/:room', {
  onSubscribe: ({ data }) => {
    const region = (data as { region?: string } | undefined)?.region
    return region === undefined ? {} : { filter: { key: 'region', cmp: 'eq', val: region } }
  },
  history: { size: 1_000, ttl: 60_000 },
  filters: true
})
app.channel('states/:room', { onSubscribe: true, history: { size: 1, ttl: 60_000 }, recover: 'latest' })
app.rpc('whoami', ({ user, connection }) => ({ user: user?.sub, connection, pid: process.pid }))
app.ws('/rooms/:room', async (socket, request) => {
  const room = `rooms/${(request.params as { room: string }).room}`
  await socket.subscribe(room)
  socket.sendJson('ready')
  for await (const message of socket.messages()) await socket.publish(room, message)
})
process.once('SIGTERM', () => {
  app.close().then(
    () => process.exit(0),
    () => process.exit(1)
  )
})
await app.listen({ host: '127.0.0.1', port: 0 })
process.send?.({ port: (app.server.address() as { port: number }).port })
