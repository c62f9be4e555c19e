import { fileURLToPath } from 'node:url'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import closeWithGrace from 'close-with-grace'
import Fastify from 'fastify'
import realtime, { forbidden } from 'fastify-realtime'
import { Type } from 'typebox'
import { authenticate, requireUser, site } from '../site.ts'

const State = Type.Union([Type.Literal('new'), Type.Literal('packed'), Type.Literal('sent')])
const Change = Type.Object({ state: State }, { additionalProperties: false })
const RowId = Type.Object({ id: Type.String({ pattern: '^[0-9]{1,6}$' }) })
const Query = Type.Object({ region: Type.Optional(Type.String({ maxLength: 32 })) })

// Your database. The region of a row never changes: a filter by a value that changes would leave old rows on the page.
const tenants = new Map([
  ['ada', 'acme'],
  ['grace', 'globex']
])
const rows = Array.from({ length: 12 }, (_, index) => ({
  id: String(index + 1),
  tenant: index % 3 === 0 ? 'globex' : 'acme',
  region: index % 2 === 0 ? 'north' : 'south',
  state: 'new'
}))

export async function buildApp() {
  const app = Fastify({ logger: true })
  await app.register(site, { page: new URL('page/', import.meta.url) })
  await app.register(realtime, {
    redis: process.env.REDIS_URL,
    auth: { sources: [], authenticate },
    // Without `origins`, only pages of this host may connect.
    limits: { maxPayload: 4_096, connections: { perUser: 20 } }
  })

  app.channel('orders', {
    history: { size: 1_000, ttl: 600_000 },
    filters: true,
    // Whatever filter the client has: it receives the rows of its own tenant only.
    onSubscribe: ({ user }) => {
      const tenant = tenants.get(String(user?.sub))
      if (tenant === undefined) throw forbidden()
      return { filter: { key: 'tenant', cmp: 'eq', val: tenant } }
    }
    // Without onHistory, only subscribers read the history, and through their filter.
  })

  const routes = app.withTypeProvider<TypeBoxTypeProvider>()
  routes.get('/rows', { onRequest: requireUser, schema: { querystring: Query } }, async ({ session, query }) => {
    // The position first: a change may then be in both the rows and the channel, but never in neither.
    const { offset, epoch } = await app.realtime.history('orders', { limit: 0 })
    const tenant = tenants.get(session.user as string)
    const own = rows.filter((row) => row.tenant === tenant && (query.region ?? row.region) === row.region)
    return { rows: own, offset, epoch }
  })

  const options = { onRequest: requireUser, schema: { params: RowId, body: Change }, bodyLimit: 4_096 }
  routes.patch('/rows/:id', options, async ({ session, params, body }, reply) => {
    const tenant = tenants.get(session.user as string)
    const row = rows.find(({ id }) => id === params.id)
    if (row === undefined || row.tenant !== tenant) return reply.code(404).send({ message: 'No such row' })
    row.state = body.state
    await app.realtime.publish('orders', row, { tags: { tenant: row.tenant, region: row.region } })
    return row
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
