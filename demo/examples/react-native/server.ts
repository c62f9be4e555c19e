import { fileURLToPath } from 'node:url'
import jwt from '@fastify/jwt'
import rateLimit from '@fastify/rate-limit'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import closeWithGrace from 'close-with-grace'
import Fastify from 'fastify'
import realtime, { forbidden } from 'fastify-realtime'
import { Type } from 'typebox'
import { demoAccounts } from '../accounts.ts'
import { readSecret } from '../secret.ts'

const Login = Type.Object({
  user: Type.String({ minLength: 1, maxLength: 64 }),
  password: Type.String({ minLength: 1, maxLength: 256 })
})
const Room = Type.Object({ room: Type.String({ pattern: '^[a-z]{1,32}$' }) })
const Message = Type.Object({ text: Type.String({ minLength: 1, maxLength: 1_000 }) }, { additionalProperties: false })

const members = new Map([['tea', ['ada', 'grace']]]) // your database
const isMember = (user: string | undefined, room: string) => members.get(room)?.includes(String(user)) === true

export async function buildApp() {
  const app = Fastify({ logger: true, bodyLimit: 4_096 })
  const accounts = demoAccounts()
  await app.register(rateLimit, { global: false })
  await app.register(jwt, { secret: readSecret('JWT_SECRET') })
  await app.register(realtime, {
    redis: process.env.REDIS_URL,
    // The token of @fastify/jwt, in the offered subprotocol or in the connect command. No page of a browser connects.
    origins: [],
    limits: { maxPayload: 16_384, messages: { rate: 10, burst: 30 }, connections: { perUser: 20 } }
  })

  const routes = app.withTypeProvider<TypeBoxTypeProvider>()
  const limit = { rateLimit: { max: 10, timeWindow: '1 minute' } }
  routes.post('/login', { schema: { body: Login }, config: limit }, async ({ body: { user, password } }, reply) => {
    if (accounts.get(user) !== password) return reply.code(401).send({ message: 'Wrong name or password' })
    return { token: app.jwt.sign({ sub: user }, { expiresIn: '1h' }) }
  })

  // One channel for both kinds of clients.
  routes.channel('rooms/:room', {
    history: { size: 200, ttl: 86_400_000 },
    schema: { params: Room, publication: Message },
    onSubscribe: ({ user, params }) => {
      if (!isMember(user?.sub, params.room)) throw forbidden()
    },
    onPublish: ({ user, params, data }) => {
      if (!isMember(user?.sub, params.room)) throw forbidden()
      return { data: { from: user?.sub, text: data.text } }
    }
  })
  routes.ws('/rooms/:room', { schema: { params: Room, message: Message }, queued: true }, async (socket, request) => {
    const { room } = request.params
    if (!isMember(socket.user?.sub, room)) return socket.close(4403, 'forbidden')
    const channel = app.channelName('rooms/:room', { room })
    await socket.subscribe(channel)
    for await (const { text } of socket.messages()) {
      await socket.publish(channel, { from: socket.user?.sub, text }, { idempotencyKey: socket.messageKey })
    }
  })
  return app
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const app = await buildApp()
  closeWithGrace({ delay: 30_000 }, async ({ err }) => {
    if (err) app.log.error({ err }, 'the process ends')
    await app.realtime.drain()
    await app.close()
  })
  await app.listen({ host: process.env.HOST ?? '127.0.0.1', port: Number(process.env.PORT ?? 3000) })
}
