// What the examples with a page share: accounts, a login with a cookie session, safe headers, and the files of the page.

import { fileURLToPath } from 'node:url'
import cookie from '@fastify/cookie'
import rateLimit from '@fastify/rate-limit'
import session from '@fastify/session'
import files from '@fastify/static'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { Claims } from 'fastify-realtime'
import { Type } from 'typebox'
import { demoAccounts } from './accounts.ts'
import { readSecret } from './secret.ts'

declare module 'fastify' {
  interface Session {
    user?: string
  }
}

const SESSION_TIME = 3_600_000
const shared = fileURLToPath(new URL('.', import.meta.url))
const centrifuge = fileURLToPath(new URL('../dist', import.meta.resolve('centrifuge')))
const HEADERS = {
  'content-security-policy': "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cache-control': 'no-cache'
}
const Login = Type.Object({
  user: Type.String({ minLength: 1, maxLength: 64 }),
  password: Type.String({ minLength: 1, maxLength: 256 })
})

/** Register it before fastify-realtime, which reads the session. `page` is the folder of the page's files. */
export const site = fp(async (app: FastifyInstance, { page }: { page: URL }) => {
  const accounts = demoAccounts()
  app.addHook('onRequest', async (_request, reply) => void reply.headers(HEADERS))
  await app.register(cookie)
  await app.register(rateLimit, { global: false })
  await app.register(session, {
    // It keeps sessions in this process. For several processes, give it a `store`.
    secret: readSecret('SESSION_SECRET'),
    cookieName: 'session',
    saveUninitialized: false,
    cookie: { httpOnly: true, sameSite: 'lax', secure: 'auto', maxAge: SESSION_TIME }
  })
  await app.register(files, { root: fileURLToPath(page), wildcard: false, cacheControl: false })
  for (const name of ['page.css', 'session.js']) app.get(`/${name}`, (_request, reply) => reply.sendFile(name, shared))
  app.get('/centrifuge.js', (_request, reply) => reply.sendFile('centrifuge.js', centrifuge))

  const routes = app.withTypeProvider<TypeBoxTypeProvider>()
  const limit = { rateLimit: { max: 10, timeWindow: '1 minute' } }
  routes.post('/login', { schema: { body: Login }, config: limit }, async (request, reply) => {
    const { body } = request
    if (accounts.get(body.user) !== body.password) return reply.code(401).send({ message: 'Wrong name or password' })
    await request.session.regenerate() // a session from before the login is not valid after it
    request.session.user = body.user
    return { user: body.user }
  })
  app.post('/logout', async ({ session }) => {
    const { user } = session
    await session.destroy()
    // All connections of the user end. Those of other sessions may connect again.
    if (user !== undefined) await app.realtime.disconnect({ user }, { code: 3000, reason: 'logout' })
    return {}
  })
  app.get('/me', { onRequest: requireUser }, async ({ session }) => ({ user: session.user }))
})

/** For `auth.authenticate` of fastify-realtime: the user of the session, until the session expires. */
export function authenticate({ session: { user, cookie } }: FastifyRequest): Claims | undefined {
  if (user === undefined) return undefined
  return cookie.expires ? { sub: user, exp: cookie.expires.getTime() / 1000 } : { sub: user }
}

/** A hook for routes that need a user. */
export async function requireUser({ session }: FastifyRequest, reply: FastifyReply): Promise<unknown> {
  if (session.user === undefined) return reply.code(401).send({ message: 'Log in first' })
}
