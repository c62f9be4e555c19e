import cluster from 'node:cluster'
import createError from '@fastify/error'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { authenticate, isAdmin, userOf } from '../authenticate.ts'
import { type BreakAnswer, createBreaker } from '../breaker.ts'
import { Breakage, Pulse, PulseParams, ServedBy } from '../schemas.ts'

const ForbiddenError = createError('FORBIDDEN', 'Only a token with the claim admin may break the demo', 403)
const RefusedError = createError<[string]>('REFUSED', '%s', 409)
const NoPrimaryError = createError('UNAVAILABLE', 'The primary process does not answer', 503)

// Called a few times a second while something is broken.
const LIMIT = { max: 1_200, timeWindow: '1 minute' }
// A page makes twenty marks a second during an experiment, which takes three minutes at most.
const HISTORY = { size: 5_000, ttl: 300_000 }

/**
 * The requests of the panel "Break it". They end processes, so they require the claim `admin`. A browser sends no
 * bearer token by itself, so pages of other sites cannot use them.
 */
const breaking: FastifyPluginAsyncTypebox = async (app) => {
  const breaker = createBreaker(app)

  app.channel('pulses/:experiment', {
    onSubscribe: true,
    schema: { params: PulseParams, publication: Pulse },
    history: HISTORY,
    // A mark that waited on the page may arrive before the page is subscribed again.
    publishers: 'clients',
    onPublish: ({ data: { id } }) => ({ data: { id }, idempotencyKey: id })
  })

  // The page asks on both of its connections, so that the guide draws through another worker than the visitor's.
  app.rpc('demo.worker', { schema: { response: ServedBy } }, () => ({ worker: cluster.worker?.id ?? 0 }))

  // A separate scope: its hook is for requests, and would otherwise apply to the channel too.
  await app.register(async (routes: typeof app) => {
    routes.addHook('onRequest', authenticate)
    routes.addHook('onRequest', async (request) => {
      if (!isAdmin(request)) throw new ForbiddenError()
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

export default breaking
