/*
 * Somebody else's application: @fastify/autoload, @fastify/helmet, cookie sessions, and the dashboard under /admin, where
 * a hook of its own admits administrators. It says where it listens to its parent; SIGTERM ends it.
 */
import { fileURLToPath } from 'node:url'
import autoload from '@fastify/autoload'
import Fastify from 'fastify'

const here = (folder) => fileURLToPath(new URL(folder, import.meta.url))
const app = Fastify({ logger: { level: 'warn' } })
await app.register(autoload, { dir: here('plugins') })
await app.register(autoload, { dir: here('routes'), autoHooks: true, cascadeHooks: true })
process.once('SIGTERM', () => {
  app.close().then(
    () => process.exit(0),
    () => process.exit(1)
  )
})
await app.listen({ host: '127.0.0.1', port: Number(process.env.PORT ?? 0) })
process.send?.({ port: app.server.address().port })
