import createError from '@fastify/error'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { faultOf } from '../loopback.ts'
import { Token } from '../schemas.ts'

const LIFETIME = '1h'
// Enough for a load test from one address, and too little to keep a process busy with signing.
const LIMIT = { max: 1000, timeWindow: '1 minute' }

const NotFromHereError = createError<[string]>(
  'ADMIN_NOT_FROM_HERE',
  'Tokens with the claim admin are given to pages of the demo on the machine itself: %s',
  403
)

export interface TokenOptions {
  /** Whether the demo can be reached from this machine only: then whoever is there may be its administrator. */
  listensOnLoopback: boolean
}

/** Anyone gets a token for any name: this is where an application asks for a password. */
const tokens: FastifyPluginAsyncTypebox<TokenOptions> = async (app, { listensOnLoopback }) => {
  app.post('/api/token', { schema: { body: Token }, config: { rateLimit: LIMIT } }, async (request, reply) => {
    const { user, admin = false } = request.body
    reply.header('cache-control', 'no-store')
    const fault = listensOnLoopback ? faultOf(request) : 'only where it listens on loopback'
    if (admin && fault !== undefined) throw new NotFromHereError(fault)
    return { token: app.jwt.sign({ sub: user, ...(admin && { admin }) }, { expiresIn: LIFETIME }) }
  })
}

export default tokens
