import { fileURLToPath } from 'node:url'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import closeWithGrace from 'close-with-grace'
import Fastify from 'fastify'
import realtime, { forbidden } from 'fastify-realtime'
import { Type } from 'typebox'
import { authenticate, site } from '../site.ts'

// Your database.
const members = new Map([
  ['tea', ['ada', 'grace']],
  ['coffee', ['ada']]
])

const Room = Type.Object({ room: Type.String({ pattern: '^[a-z]{1,32}$' }) })
const Message = Type.Object(
  {
    text: Type.String({ minLength: 1, maxLength: 1_000 }),
    key: Type.String({ minLength: 1, maxLength: 64 })
  },
  { additionalProperties: false }
)
const Nothing = Type.Object({}, { additionalProperties: false })

export async function buildApp() {
  const app = Fastify({ logger: true, ajv: { customOptions: { coerceTypes: false, removeAdditional: false } } })
  await app.register(site, { page: new URL('page/', import.meta.url) })
  await app.register(realtime, {
    redis: process.env.REDIS_URL,
    auth: { sources: [], authenticate },
    // Without `origins`, only pages of this host may connect.
    limits: { maxPayload: 16_384, messages: { rate: 10, burst: 30 }, connections: { perUser: 20 } }
  })

  function mustBeMember(user: string | undefined, room: string): void {
    if (user === undefined || !members.get(room)?.includes(user)) throw forbidden()
  }

  const routes = app.withTypeProvider<TypeBoxTypeProvider>()
  routes.channel('rooms/:room', {
    history: { size: 200, ttl: 86_400_000 },
    presence: true,
    joinLeave: true,
    schema: { params: Room, publication: Message },
    onSubscribe: ({ user, params }) => {
      mustBeMember(user?.sub, params.room)
      return { info: { name: user?.sub } }
    },
    // The server says who wrote it. A message that is sent again, after a break, is published once.
    onPublish: ({ user, params, data }) => {
      mustBeMember(user?.sub, params.room)
      return { data: { from: user?.sub, text: data.text, key: data.key }, idempotencyKey: data.key }
    }
  })

  // No history: a sign of typing is of no use later. Clients publish nothing but the fact.
  routes.channel('rooms/:room/typing', {
    echo: false,
    schema: { params: Room, publication: Nothing },
    onSubscribe: ({ user, params }) => mustBeMember(user?.sub, params.room),
    onPublish: ({ user, params }) => {
      mustBeMember(user?.sub, params.room)
      return { data: { from: user?.sub } }
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
