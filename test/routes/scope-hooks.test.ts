import { Readable } from 'node:stream'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import t, { type Test } from 'tap'
import { ChannelError, ERROR } from '../../lib/protocol/channel-errors.ts'
import { testToken } from '../../lib/testing/index.ts'
import { atLeast, buildApp } from '../support/app.ts'
import { Speaker } from '../support/speaker.ts'

/* Hooks of a scope hold for the channels and methods that it declares, as for its routes. */

const memory = true

function declare(scope: FastifyInstance): void {
  scope.channel('logs', {
    onSubscribe: true,
    history: { size: 10, ttl: 60_000 },
    presence: true,
    onPublish: () => undefined
  })
  scope.rpc('wipe', () => 'wiped')
}

/** An app whose scope `/admin` has these hooks; gives what a client is answered. */
async function build(t: Test, addHooks: (scope: FastifyInstance) => unknown, claims: object = {}) {
  const built = await buildApp(t)
  await built.app.register(
    async (scope) => {
      await addHooks(scope)
      declare(scope)
    },
    { prefix: '/admin' }
  )
  declare(built.app)
  const speaker = await Speaker.open(built.app, { memory, token: testToken({ sub: 'ada', ...claims }) })
  const ask = (prefix: string) => [
    { subscribe: { channel: `${prefix}logs` } },
    { publish: { channel: `${prefix}logs`, data: 1 } },
    { history: { channel: `${prefix}logs` } },
    { presence: { channel: `${prefix}logs` } },
    { presence_stats: { channel: `${prefix}logs` } },
    { rpc: { method: `${prefix}wipe` } }
  ]
  const answersOf = async (prefix: string) => {
    const answers: Record<string, unknown>[] = []
    for (const command of ask(prefix)) {
      let answer = await speaker.call(command)
      // The client's own publication comes back before its reply, where it is subscribed.
      if ('push' in answer) answer = await speaker.next()
      answers.push(answer)
    }
    return answers
  }
  return { ...built, speaker, answersOf }
}

const onlyAdmins = async (request: FastifyRequest) => {
  if (!(request.user as { admin?: boolean }).admin) throw Object.assign(new Error('admins only'), { statusCode: 403 })
}

t.test('whoever a hook refuses is denied everything of the scope, and nothing else', async (t) => {
  const { answersOf, speaker, logs } = await build(t, (scope) => scope.addHook('onRequest', onlyAdmins))
  t.same(await answersOf('admin/'), Array(6).fill({ error: ERROR.permissionDenied }))
  t.match(await speaker.call({ subscribe: { channel: 'logs' } }), { subscribe: {} }, 'the root has no hooks')
  t.same(atLeast(logs, 'warn'), [])
})

t.test('whoever it lets pass is served', async (t) => {
  const { speaker } = await build(t, (scope) => scope.addHook('onRequest', onlyAdmins), { admin: true })
  t.match(await speaker.call({ subscribe: { channel: 'admin/logs' } }), { subscribe: {} })
  t.match(await speaker.call({ rpc: { method: 'admin/wipe' } }), { rpc: { data: 'wiped' } })
})

t.test('hooks of all kinds, outer scopes first, as Fastify runs them', async (t) => {
  const calls: string[] = []
  const note = (name: string) => (_request: FastifyRequest, _reply: FastifyReply, done: () => void) => {
    calls.push(name)
    done()
  }
  const { app } = await buildApp(t, { auth: false })
  app.addHook('onRequest', note('root'))
  await app.register(async (outer) => {
    outer.addHook('preHandler', note('outer preHandler'))
    outer.addHook('onRequest', note('outer onRequest'))
    outer.addHook('onSend', async () => calls.push('onSend') as never)
    await outer.register(async (inner) => {
      inner.addHook('preValidation', note('inner preValidation'))
      await inner.register(fp(async (plugin) => void plugin.addHook('onRequest', note('inner onRequest'))))
      inner.rpc('inner', () => 1)
    })
    await outer.register(async (sibling) => sibling.addHook('onRequest', note('sibling')))
    await outer.register(async (bare) => void bare.rpc('bare', () => 1))
    outer.rpc('outer', () => 1)
  })
  const speaker = await Speaker.open(app, { memory })
  calls.length = 0
  await speaker.call({ rpc: { method: 'inner' } })
  t.same(calls.splice(0), ['outer onRequest', 'inner onRequest', 'inner preValidation', 'outer preHandler'])
  for (const method of ['outer', 'bare']) {
    await speaker.call({ rpc: { method } })
    t.same(calls.splice(0), ['outer onRequest', 'outer preHandler'], method)
  }
})

t.test('what a hook answers with, or throws, and what the client is told', async (t) => {
  type Answer = (reply: FastifyReply & { forbidden(): FastifyReply }, done: (error?: Error) => void) => unknown
  const stream = Readable.from(['a page'])
  const failing = (statusCode: number) => Object.assign(new Error('no'), { statusCode })
  const refusals: Record<string, [Answer, { code: number }]> = {
    'sends 403': [(reply) => reply.code(403).send({ error: 'no' }), ERROR.permissionDenied],
    'sends 404': [
      (reply) => reply.status(404).header('a', 'b').headers({}).type('text/plain').send(),
      ERROR.notAvailable
    ],
    'sends 200': [(reply) => reply.send('a page'), ERROR.permissionDenied],
    'sends an error': [(reply) => reply.send(failing(429)), ERROR.tooManyRequests],
    'sends any error': [(reply) => reply.send(new Error('no')), ERROR.permissionDenied],
    'sends twice': [(reply) => reply.code(403).send().send('again'), ERROR.permissionDenied],
    'sends a stream': [(reply) => reply.code(403).send(stream), ERROR.permissionDenied],
    redirects: [(reply) => reply.redirect('/login'), ERROR.permissionDenied],
    'finds nothing': [(reply) => reply.callNotFound(), ERROR.notAvailable],
    'uses a decorator': [(reply) => reply.forbidden(), ERROR.permissionDenied],
    'uses a decorator later': [(reply) => void setImmediate(() => reply.forbidden()), ERROR.permissionDenied],
    'promises a reply': [
      async (reply) => {
        setImmediate(() => reply.code(400).send())
        return reply
      },
      ERROR.badRequest
    ],
    'replies, and never comes back': [(reply) => new Promise(() => reply.forbidden()), ERROR.permissionDenied],
    'replies, and throws': [(reply) => Promise.reject(new Error(`${reply.forbidden()}`)), ERROR.permissionDenied],
    'writes to the response': [(reply) => reply.raw.writeHead(429).end('no'), ERROR.tooManyRequests],
    'takes the response for itself': [async (reply) => void reply.hijack(), ERROR.permissionDenied],
    'cuts the response': [async (reply) => void reply.raw.destroy(), ERROR.permissionDenied],
    'calls back with an error': [(_reply, done) => done(failing(401)), ERROR.permissionDenied],
    'throws what a reply without error would be': [() => Promise.reject(failing(404)), ERROR.notAvailable],
    'sets a status, and throws': [
      async (reply) => {
        reply.code(401)
        throw new Error('no')
      },
      ERROR.permissionDenied
    ],
    'throws a status by another name': [() => Promise.reject({ status: 429 }), ERROR.tooManyRequests],
    'throws a status that is no error and one that is': [
      () => Promise.reject({ statusCode: 200, status: 403 }),
      ERROR.permissionDenied
    ],
    'sets a status, and throws another': [
      async (reply) => {
        reply.code(404)
        throw failing(429)
      },
      ERROR.notAvailable
    ],
    'throws a code of the protocol': [() => Promise.reject(new ChannelError(460, 'closed')), { code: 460 }],
    'throws one at once': [
      () => {
        throw failing(400)
      },
      ERROR.badRequest
    ]
  }
  // Where nothing more exact is meant, the client may not do it; these were errors of the server.
  for (const status of [401, 402, 403, 409, 410, 451, 499]) {
    refusals[`throws ${status}`] = [() => Promise.reject(failing(status)), ERROR.permissionDenied]
  }
  const failures: typeof refusals = {
    'throws what nobody foresaw': [() => Promise.reject(new Error('a secret')), ERROR.internal],
    'throws what is the server’s fault': [() => Promise.reject(failing(503)), ERROR.internal],
    'throws a status that there is not': [() => Promise.reject(failing(600)), ERROR.internal],
    'throws a status that is text': [() => Promise.reject(failing('403' as never)), ERROR.internal],
    'rejects with nothing': [() => Promise.reject(null), ERROR.internal]
  }
  for (const [how, [answer, { code }]] of Object.entries({ ...refusals, ...failures })) {
    const { speaker, logs } = await build(t, (scope) => {
      scope.decorateReply('forbidden', function (this: FastifyReply) {
        return this.code(403).send(new Error('forbidden'))
      })
      scope.addHook('onRequest', (_request, reply, done) => answer(reply as never, done as () => void) as undefined)
    })
    const { error } = (await speaker.call({ rpc: { method: 'admin/wipe' } })) as { error: { code: number } }
    t.equal(error.code, code, how)
    t.notMatch(JSON.stringify(error), /secret/)
    t.equal(atLeast(logs, 'warn').length, how in failures ? 1 : 0, how)
  }
  t.ok(stream.destroyed, 'nothing would read it')
})

t.test('hooks get one reply, as for a request', async (t) => {
  const seen: unknown[] = []
  const { speaker } = await build(t, (scope) => {
    scope.decorateReply('tenant', '')
    scope.addHook('onRequest', async (request, reply) => {
      Object.assign(reply, { tenant: 'acme' })
      reply.header('x-tenant', 'acme').log.info('seen')
      seen.push(reply.request === request, reply.server === scope)
    })
    scope.addHook('preHandler', (_request, reply, done) => {
      seen.push((reply as { tenant?: string }).tenant, reply.getHeader('x-tenant'), reply.raw.statusCode, reply.sent)
      done()
    })
  })
  t.same(await speaker.call({ rpc: { method: 'admin/wipe' } }), { rpc: { data: 'wiped' } })
  t.same(seen, [true, true, 'acme', 'acme', 200, false])
})

t.test('a hook that never settles is given up', async (t) => {
  const { app } = await buildApp(t, { auth: false, channels: { hookTimeout: 100 } })
  await app.register(async (scope) => {
    scope.addHook('onRequest', () => undefined)
    scope.rpc('stuck', () => 1)
  })
  const speaker = await Speaker.open(app, { memory })
  t.same(await speaker.call({ rpc: { method: 'stuck' } }), { error: ERROR.internal })
})
