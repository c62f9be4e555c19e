import { once } from 'node:events'
import { Readable } from 'node:stream'
import Fastify, { type FastifyInstance, type FastifyReply } from 'fastify'
import t, { type Test } from 'tap'
import { guardReplies, isOver, statusOf } from '../../lib/routes/guard-reply.ts'

/* What becomes of them: test/scope-hooks.test.ts. */

/** A reply of a scope that has decorators of its own, for a request of the root's. */
async function make(t: Test): Promise<{ reply: FastifyReply; scope: FastifyInstance }> {
  const app = Fastify()
  t.teardown(() => app.close())
  app.decorateReply('outer', () => 'outer')
  let scope = app as FastifyInstance
  await app.register(async (inner) => {
    scope = inner
    inner.decorateReply('inner', function (this: FastifyReply) {
      return this.code(403).send()
    })
  })
  let reply: FastifyReply | undefined
  app.get('/', async (request) => {
    reply = guardReplies(scope)(request)
    return ''
  })
  await app.inject('/')
  return { reply: reply as FastifyReply, scope }
}

t.test('a reply of the scope, with its decorators and those around it', async (t) => {
  const { reply, scope } = await make(t)
  const { outer, inner } = reply as unknown as { outer(): string; inner(): FastifyReply }
  t.equal(outer(), 'outer')
  t.equal(reply.server, scope)
  t.equal(isOver(reply), false)
  const closed = once(reply.raw, 'close')
  t.equal(inner.call(reply), reply)
  t.equal(isOver(reply), true)
  t.equal(reply.statusCode, 403)
  t.equal(reply.send('twice'), reply, 'who sends again does no harm')
  await closed
  // What waits for the reply goes on, too.
  await reply
})

t.test('a stream that nobody reads is let go', async (t) => {
  const { reply } = await make(t)
  const stream = Readable.from(['a'])
  reply.send(stream)
  t.equal(stream.destroyed, true)
})

t.test('the status is what Fastify would answer with', async (t) => {
  const { reply } = await make(t)
  const cases: [unknown, number][] = [
    [{ statusCode: 404 }, 404],
    [{ status: 429 }, 429],
    [{ statusCode: 200, status: 403 }, 403],
    [{ statusCode: 600 }, 500],
    [{ statusCode: '403' }, 500],
    [new Error('no'), 500],
    [null, 500]
  ]
  for (const [error, status] of cases) t.equal(statusOf(reply, error), status)
  reply.code(401)
  t.equal(statusOf(reply, { statusCode: 404 }), 401, "the reply's own goes first")
})

t.test('a Fastify that makes replies in another way is said at once', async (t) => {
  const message = /^fastify: hooks of scopes cannot be run/
  t.throws(() => guardReplies({} as FastifyInstance), { code: 'FST_RT_DEPENDENCY', message })
})
