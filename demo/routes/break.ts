import createError from '@fastify/error'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import { userOf } from '../authenticate.ts'
import { type BreakAnswer, createBreaker } from '../breaker.ts'
import { faultOf } from '../loopback.ts'
import { Breakage, Pulse, PulseParams } from '../schemas.ts'

const ForbiddenError = createError<[string]>('FORBIDDEN', '%s', 403)
const RefusedError = createError<[string]>('REFUSED', '%s', 409)
const NoPrimaryError = createError('UNAVAILABLE', 'The primary process does not answer', 503)

// Asked a few times a second while something is being broken.
const LIMIT = { max: 1_200, timeWindow: '1 minute' }
// A page makes twenty marks a second while it breaks something, which takes three minutes at most.
const HISTORY = { size: 5_000, ttl: 300_000 }

/**
 * What the panel "Break it" asks for. Whoever may ask can end processes, so this is for a demo that listens on loopback
 * only, and there for its own page and nobody else.
 */
const breaking: FastifyPluginAsyncTypebox = async (app) => {
  const breaker = createBreaker(app)

  app.channel('pulses/:experiment', {
    schema: { params: PulseParams, publication: Pulse },
    history: HISTORY,
    onPublish: ({ data: { id } }) => ({ data: { id }, idempotencyKey: id })
  })

  // A scope of its own: its hook is for requests, and would hold for the channel too.
  await app.register(async (routes: typeof app) => {
    routes.addHook('onRequest', async (request) => {
      const fault = faultOf(request)
      if (fault !== undefined) throw new ForbiddenError(fault)
      if (isPostOfForm(request)) throw new ForbiddenError('only JSON')
      if (!(await hasToken(request))) throw new ForbiddenError('a valid token is wanted')
    })

    routes.get('/api/break', { logLevel: 'warn', config: { rateLimit: LIMIT } }, async (request) => {
      return stateOf(await breaker.ask({ user: userOf(request) as string }))
    })

    routes.post('/api/break', { schema: { body: Breakage }, config: { rateLimit: LIMIT } }, async (request, reply) => {
      const question = { ...request.body, user: userOf(request) as string }
      return reply.code(202).send(stateOf(await breaker.ask(question)))
    })
  })
}

function stateOf(answer: BreakAnswer | undefined) {
  if (answer === undefined) throw new NoPrimaryError()
  if (answer.refusal !== undefined) throw new RefusedError(answer.refusal)
  return answer.state
}

// A form can't say that it sends JSON.
function isPostOfForm({ headers, method }: FastifyRequest): boolean {
  return method === 'POST' && !/^application\/json\b/i.test(headers['content-type'] ?? '')
}

async function hasToken(request: FastifyRequest): Promise<boolean> {
  try {
    await request.jwtVerify()
    return userOf(request) !== undefined
  } catch (err) {
    request.log.debug({ code: (err as { code?: string }).code }, 'token refused')
    return false
  }
}

export default breaking
