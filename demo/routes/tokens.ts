import createError from '@fastify/error'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { isSameKey } from '../admin-key.ts'
import { Token } from '../schemas.ts'

const LIFETIME = '1h'
// Enough for a load test from one address, and too little to keep a process busy with signatures.
const LIMIT = { max: 1000, timeWindow: '1 minute' }

const WrongKeyError = createError(
  'WRONG_ADMIN_KEY',
  'This is not the administrator key: open the address that the demo printed when it started',
  403
)

export interface TokenOptions {
  adminKey: string
}

/** Any visitor gets a token for any name. An application asks for a password here. */
const tokens: FastifyPluginAsyncTypebox<TokenOptions> = async (app, { adminKey }) => {
  app.post('/api/token', { schema: { body: Token }, config: { rateLimit: LIMIT } }, async (request, reply) => {
    const { user, key } = request.body
    reply.header('cache-control', 'no-store')
    if (key !== undefined && !isSameKey(key, adminKey)) throw new WrongKeyError()
    const admin = key !== undefined
    return { token: app.jwt.sign({ sub: user, ...(admin && { admin }) }, { expiresIn: LIFETIME }) }
  })
}

export default tokens
