import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Token } from '../schemas.ts'

const LIFETIME = '1h'
// Enough for a load test from one address, and too little to keep a process busy with signing.
const LIMIT = { max: 1000, timeWindow: '1 minute' }

/** Anyone gets a token for any name: this is where an application asks for a password. */
const tokens: FastifyPluginAsyncTypebox = async (app) => {
  app.post('/api/token', { schema: { body: Token }, config: { rateLimit: LIMIT } }, async (request, reply) => {
    reply.header('cache-control', 'no-store')
    return { token: app.jwt.sign({ sub: request.body.user }, { expiresIn: LIFETIME }) }
  })
}

export default tokens
