import { randomUUID } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import closeWithGrace from 'close-with-grace'
import Fastify from 'fastify'
import realtime from 'fastify-realtime'
import { Type } from 'typebox'
import { authenticate, requireUser, site } from '../site.ts'

interface Order {
  readonly id: string
  readonly item: string
  readonly quantity: number
}

// Your database: the orders of each user, the newest first.
const orders = new Map<string, readonly Order[]>()
const MOST_ORDERS = 100

const NewOrder = Type.Object(
  { item: Type.String({ minLength: 1, maxLength: 100 }), quantity: Type.Integer({ minimum: 1, maximum: 99 }) },
  { additionalProperties: false }
)

export async function buildApp() {
  const app = Fastify({ logger: true, ajv: { customOptions: { removeAdditional: false } } })
  await app.register(site, { page: new URL('page/', import.meta.url) })
  await app.register(realtime, {
    redis: process.env.REDIS_URL,
    // The cookie of the session identifies the client. Tokens are not accepted.
    auth: { sources: [], authenticate },
    // Without `origins`, only pages of this host may connect: another site could use the cookie otherwise.
    limits: { maxPayload: 4_096, connections: { perUser: 20 } },
    channels: {
      // The server subscribes each client to the channel of its user.
      onConnect: ({ user }) => ({ subscriptions: [ordersOf(String(user?.sub))] })
    }
  })

  // Without onSubscribe and onPublish, clients can do neither by themselves.
  app.channel('users/:user/orders', { history: { size: 100, ttl: 3_600_000 } })
  const ordersOf = (user: string) => app.channelName('users/:user/orders', { user })

  const routes = app.withTypeProvider<TypeBoxTypeProvider>()
  routes.get('/orders', { onRequest: requireUser }, async ({ session }) => orders.get(session.user as string) ?? [])

  const options = { onRequest: requireUser, schema: { body: NewOrder }, bodyLimit: 4_096 }
  routes.post('/orders', options, async ({ body, session, log }, reply) => {
    const user = session.user as string
    const order: Order = { id: randomUUID(), ...body }
    orders.set(user, [order, ...(orders.get(user) ?? [])].slice(0, MOST_ORDERS))
    try {
      await app.realtime.publish(ordersOf(user), order, { idempotencyKey: order.id })
    } catch (err) {
      // The order exists. Without a notification, the page shows it when it loads the list again.
      log.error({ err }, 'no notification of an order')
    }
    return reply.code(201).send(order)
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
