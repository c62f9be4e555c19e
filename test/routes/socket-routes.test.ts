import rateLimit from '@fastify/rate-limit'
import { type TypeBoxTypeProvider, TypeBoxValidatorCompiler } from '@fastify/type-provider-typebox'
import { validatorCompiler, type ZodTypeProvider } from 'fastify-type-provider-zod'
import t from 'tap'
import { Type } from 'typebox'
import { z } from 'zod'
import { forbidden } from '../../lib/index.ts'
import { userKey } from '../../lib/input/user-key.ts'
import { connect, testToken } from '../../lib/testing/index.ts'
import { atLeast, buildApp } from '../support/app.ts'
import { rawUpgrade } from '../support/raw-socket.ts'

/* `app.ws`, and routes with `{ websocket: true }`: what they take, and what of Fastify's holds for them. */

type Echo = { messages(): AsyncIterable<unknown>; sendJson(value: unknown): void }
const echo = async (socket: Echo) => {
  for await (const message of socket.messages()) socket.sendJson({ echo: message })
}
const anonymous = { auth: false } as const

t.test('a route declared in a way that cannot work says so at once', async (t) => {
  const { app } = await buildApp(t, anonymous, { jwt: false })
  const declare = app.ws as unknown as (...args: unknown[]) => unknown
  const bad: [args: unknown[], message: RegExp][] = [
    [[], /give a path like \/live/],
    [[{}, echo], /give a path/],
    [['/a'], /Route \/a: give a handler, as the last argument/],
    [['/a', {}], /give a handler/],
    [['/a', {}, 'handler'], /give a handler/],
    [['/a', null, echo], /options: give an object/],
    [['/a', { schema: 'schema' }, echo], /schema: give an object/],
    [['/a', { schema: null }, echo], /schema: give an object/],
    [['/a', { schema: { body: {} } }, echo], /a WebSocket route has no schema\.body; use schema\.message/],
    [['/a', { schema: { response: {} } }, echo], /a WebSocket route has no schema\.response/],
    [
      ['/a', { schema: { mesage: {} } }, echo],
      /Route \/a: unknown schema\.mesage; use one of message, request, reply, params,/
    ],
    [['/a', { respond: true }, echo], /Route \/a: respond: give a function/],
    [['/a', { requests: 1 }, echo], /requests: give true or false/],
    [['/a', { queued: 'yes' }, echo], /queued: give true or false/],
    [['/a', { schema: { request: {} } }, echo], /schema\.request and schema\.reply belong to the option respond/],
    [['/a', { schema: { reply: {} } }, echo], /schema\.request and schema\.reply belong to the option respond/],
    [['/a', { message: {} }, echo], /message belongs into schema/],
    [['/a', { config: { realtime: true } }, echo], /config\.realtime: give an object/],
    [['/a', { config: { realtime: null } }, echo], /config\.realtime: give an object/],
    [['/a', { config: { realtime: { auth: {} } } }, echo], /clients cannot be authenticated: register @fastify\/jwt/]
  ]
  for (const [args, message] of bad) {
    t.throws(() => declare.apply(app, args), { code: 'FST_RT_INVALID_ROUTE', message })
  }
  t.throws(() => app.get('/a', { config: { realtime: { auth: false } } }, async () => 1), {
    code: 'FST_RT_INVALID_ROUTE',
    message: /Route \/a: config\.realtime is for WebSocket routes/
  })
  declare.call(app, '/described', { schema: { summary: 'a', tags: [], 'x-internal': true } }, echo)
  const options = { code: 'FST_RT_INVALID_OPTION', message: /^Route \/a: Option limits/ }
  t.throws(() => declare.call(app, '/a', { config: { realtime: { limits: { max: 1 } } } }, echo), options)
  t.throws(() => declare.call(app, '/a', { config: { realtime: { limits: { upgradeTimeout: 100 } } } }, echo), options)
})

t.test('a schema for messages that does not compile fails the boot, and names the route', async (t) => {
  const { app } = await buildApp(t, anonymous)
  app.ws('/bad', { schema: { message: { type: 'no such type' } } }, echo)
  await t.rejects(async () => app.ready(), {
    code: 'FST_RT_INVALID_ROUTE',
    message: /Route \/bad: schema\.message does not compile/
  })
  for (const name of ['request', 'reply']) {
    const { app } = await buildApp(t, anonymous)
    app.ws('/bad', { respond: () => null, schema: { [name]: { type: 'no such type' } } }, echo)
    await t.rejects(async () => app.ready(), {
      code: 'FST_RT_INVALID_ROUTE',
      message: new RegExp(`Route /bad: schema\\.${name} does not compile`)
    })
  }
})

t.test('requests and keyed messages, on a route that asks for them', async (t) => {
  const { app } = await buildApp(t, anonymous)
  const number = { type: 'object', required: ['n'], properties: { n: { type: 'number' } } }
  app.ws(
    '/asked',
    {
      schema: {
        message: number,
        request: number,
        reply: { type: 'object', properties: { twice: { type: 'number' } } }
      },
      requests: true,
      queued: true,
      respond(data, socket, request) {
        const { n } = data as { n: number }
        return { twice: n * 2, secret: socket.id, url: request.url }
      }
    },
    async (socket) => {
      for await (const message of socket.messages()) {
        const key = socket.messageKey
        const answer = await socket.request({ is: message }).catch((error) => error.code)
        socket.sendJson({ message, key: key ?? null, answer })
      }
    }
  )
  app.ws('/plain', echo)
  const socket = await connect(app, '/asked')
  socket.send({ id: 7, request: { n: 4 } })
  t.same(await socket.next(), { id: 7, reply: { twice: 8 } }, 'the reply’s schema is its serializer')
  socket.send({ id: 8, request: { n: 'four' } })
  t.match(await socket.next(), { id: 8, error: { code: 'invalid_message', issues: [{ keyword: 'type' }] } })

  socket.send({ key: 'k', message: { n: 1 } })
  t.same(await socket.next(), { id: 1, request: { is: { n: 1 } } })
  socket.send({ id: 1, reply: 'yes' })
  t.same(await socket.next(), { message: { n: 1 }, key: userKey(undefined, 'k'), answer: 'yes' })
  socket.send({ n: 2 })
  await socket.next()
  socket.send({ id: 2, error: 'no' })
  t.same(await socket.next(), { message: { n: 2 }, key: null, answer: 'FST_RT_REQUEST_REFUSED' })

  const plain = await connect(app, '/plain')
  for (const message of [
    { id: 1, request: 1 },
    { id: 1, reply: 1 },
    { key: 'k', message: 1 }
  ]) {
    plain.send(message)
    t.same(await plain.next(), { echo: message }, 'elsewhere they are the handler’s')
  }
})

t.test('a handler', async (t) => {
  const { app, logs } = await buildApp(t, anonymous)
  let waiting: (() => void) | undefined
  app
    .ws('/done', async () => undefined)
    .ws('/sync', () => undefined)
    .ws('/throws', async () => Promise.reject(new Error('secret')))
    .ws('/throws-at-once', () => {
      throw new Error('secret')
    })
    .ws('/this', async function (socket) {
      socket.sendJson(this === app)
    })
    .ws('/aborted', async (socket) => {
      await new Promise<void>((resolve) => {
        socket.signal.addEventListener('abort', () => resolve())
      })
      waiting?.()
      socket.signal.throwIfAborted()
    })
    .ws('/late', async (socket) => {
      await new Promise<void>((resolve) => {
        socket.signal.addEventListener('abort', () => resolve())
      })
      waiting?.()
      throw new Error('late')
    })
    .ws('/nothing', async (socket) => {
      await new Promise<void>((resolve) => {
        socket.signal.addEventListener('abort', () => resolve())
      })
      waiting?.()
      throw undefined
    })

  t.test('that returns closes with 1000', async (t) => {
    t.same(await (await connect(app, '/done')).closed(), { code: 1000, reason: 'done' })
  })

  t.test('that throws is logged once, answered without detail, and closed with 1011', async (t) => {
    for (const path of ['/throws', '/throws-at-once']) {
      logs.length = 0
      const socket = await connect(app, path)
      const message = await socket.next()
      t.match(message, { error: { code: 'internal' } })
      t.notMatch(JSON.stringify(message), /secret/)
      t.same(await socket.closed(), { code: 1011, reason: 'internal error' })
      t.match(atLeast(logs, 'error'), [{ err: { message: 'secret' }, reqId: /./, connection: /./ }])
    }
  })

  t.test('is called on its instance', async (t) => {
    t.equal(await (await connect(app, '/this')).next(), true)
  })

  t.test('whose client goes may stop with an AbortError, and is blamed for anything else', async (t) => {
    for (const [path, errors] of Object.entries({ '/aborted': 0, '/late': 1, '/nothing': 1 })) {
      logs.length = 0
      const socket = await connect(app, path)
      const settled = new Promise<void>((resolve) => {
        waiting = resolve
      })
      await socket.close()
      await settled
      await new Promise(setImmediate)
      t.equal(atLeast(logs, 'error').length, errors)
    }
  })
})

t.test('the options of @fastify/websocket do not take over', async (t) => {
  const { app } = await buildApp(t, anonymous)
  app.ws(
    '/ws',
    { websocket: true, wsHandler: () => undefined, handler: () => 'theirs', method: 'POST' } as object,
    echo
  )
  const socket = await connect(app, '/ws')
  socket.send(1)
  t.same(await socket.next(), { echo: 1 })
  t.equal((await app.inject('/ws')).statusCode, 426)
})

t.test('no HEAD route stands beside an app.ws route or a channel endpoint; HEAD is answered like GET', async (t) => {
  const rewritten: Record<string, string> = { '/twice': '/once', '/once': '/live' }
  const rewriteUrl = ({ url = '' }: { url?: string }) => rewritten[url] ?? url
  for (const exposeHeadRoutes of [true, false]) {
    const { app } = await buildApp(t, anonymous, { fastify: { exposeHeadRoutes, rewriteUrl } })
    app.ws('/live', echo)
    app.channel('news')
    app.get('/plain', async () => 'plain')
    await app.register(async (scope) => void scope.ws('/inner/:id', echo), { prefix: '/app' })
    const routes = app.printRoutes({ commonPrefix: false })
    for (const url of ['/live', '/connection/websocket', '/app/inner/:id']) t.match(routes, `${url} (GET)\n`)
    t.match(routes, exposeHeadRoutes ? '/plain (GET, HEAD)\n' : '/plain (GET)\n')
    for (const url of ['/live', '/live?a=1', '/app/inner/5', '/connection/websocket', '/once']) {
      // Node removes the body of an answer to HEAD. Whether an injected request keeps it is the injector's choice.
      const { statusCode, headers } = await app.inject({ method: 'HEAD', url })
      t.match({ statusCode, headers }, { statusCode: 426, headers: { upgrade: 'websocket' } }, url)
    }
    t.equal((await app.inject({ method: 'HEAD', url: '/plain' })).statusCode, exposeHeadRoutes ? 200 : 404)
    t.equal((await app.inject({ method: 'HEAD', url: '/none' })).statusCode, 404)
    t.equal((await app.inject({ method: 'HEAD', url: '/twice' })).statusCode, 404, 'a path is rewritten once')
    t.equal((await app.inject('/none')).statusCode, 404)
  }
  const { app } = await buildApp(t, anonymous)
  app.ws('/live', { exposeHeadRoute: true }, echo)
  t.match(app.printRoutes({ commonPrefix: false }), '/live (GET, HEAD)\n', 'unless the route asks for one')
  t.equal((await app.inject({ method: 'HEAD', url: '/live' })).statusCode, 426)
})

t.test('params, prefixes, hooks and schemas are those of any route', async (t) => {
  const { app } = await buildApp(t)
  const order: string[] = []
  app.addHook('onRequest', async () => void order.push('root'))
  app.register(
    async (child) => {
      child.addHook(
        'onRequest',
        async (request) => void order.push(`child, after ${(request.user as { sub?: string })?.sub}`)
      )
      child.ws(
        '/:board',
        {
          schema: {
            params: { type: 'object', properties: { board: { type: 'integer' } } },
            querystring: { type: 'object', required: ['q'], properties: { q: { type: 'string' } } }
          },
          preHandler: async () => void order.push('own')
        },
        async (socket, request) => socket.sendJson([request.params, request.query])
      )
      child.get('/plain/:board', { websocket: true }, (socket, request) => {
        socket.send(JSON.stringify([socket.constructor.name, request.params]))
      })
    },
    { prefix: '/boards' }
  )
  const token = testToken({ sub: 'ada' })
  const socket = await connect(app, '/boards/7?q=x', { token })
  t.same(await socket.next(), [{ board: 7 }, { q: 'x' }])
  t.same(order, ['root', 'child, after ada', 'own'])
  const plain = await connect(app, '/boards/plain/x', { token })
  t.same(await plain.next(), ['RealtimeSocket', { board: 'x' }])

  const port = (app.server.address() as { port: number }).port
  const offer = { protocols: ['realtime.v1', `bearer.${token}`] }
  const bad = await rawUpgrade(port, { path: '/boards/seven?q=x', ...offer })
  t.equal(bad.response.statusCode, 400)
  t.match(JSON.parse(bad.response.body), { code: 'FST_ERR_VALIDATION' })
  const browser = await connect(app, '/boards/seven?q=x', { token, origin: true })
  t.same(await browser.closed(), { code: 4400, reason: 'bad request' })
})

t.test('what a hook refuses with', async (t) => {
  const refuse = (statusCode: number) => Object.assign(new Error('mine'), { statusCode })
  const { app, logs } = await buildApp(t, {}, { fastify: {} })
  for (const code of [400, 401, 403, 404, 429]) {
    app.ws(`/throws/${code}`, { preHandler: async () => Promise.reject(refuse(code)) }, async () => undefined)
    app.ws(`/sends/${code}`, { preHandler: async (_, reply) => reply.code(code).send('mine') }, async () => undefined)
  }
  app.ws(
    '/http',
    { config: { realtime: { auth: { refuse: 'http' } } }, preHandler: async () => Promise.reject(refuse(403)) },
    async () => undefined
  )
  app.ws(
    '/close',
    { config: { realtime: { auth: { refuse: 'close' } } }, preHandler: async () => Promise.reject(refuse(403)) },
    async () => undefined
  )
  app.ws('/forbids', { preHandler: async () => Promise.reject(forbidden('not yours')) }, async () => undefined)
  const realtime = { auth: false } as const
  app.get(
    '/own',
    { websocket: true, config: { realtime }, preHandler: async () => Promise.reject(refuse(401)) },
    () => undefined
  )
  const token = testToken()
  const told: Record<number, number> = { 400: 4400, 401: 4401, 403: 4403 }
  for (const how of ['throws', 'sends']) {
    for (const code of [400, 401, 403, 404, 429]) {
      const status = await connect(app, `/${how}/${code}`, { token }).catch((error: unknown) => error)
      t.match(status, { statusCode: code, body: /mine/ })
      const browser = await connect(app, `/${how}/${code}`, { token, origin: true }).catch((error: unknown) => error)
      if (told[code] === undefined) t.match(browser, { statusCode: code }, 'nothing that a page could mend')
      else t.match(await (browser as Awaited<ReturnType<typeof connect>>).closed(), { code: told[code] })
    }
  }
  const forbids = await connect(app, '/forbids', { token }).catch((error: unknown) => error)
  t.match(forbids, { statusCode: 403, body: /not yours/ })
  t.match(await (await connect(app, '/forbids', { token, origin: true })).closed(), { code: 4403, reason: 'forbidden' })
  t.match(await (await connect(app, '/own', { origin: true })).closed(), { code: 4401, reason: 'unauthorized' })
  t.match(await connect(app, '/http', { token, origin: true }).catch((error: unknown) => error), { statusCode: 403 })
  t.match(await (await connect(app, '/close', { token })).closed(), { code: 4403, reason: 'forbidden' })
  t.same(
    atLeast(logs, 'warn').filter(({ level }) => level >= 50),
    []
  )
  t.equal(app.realtime.connections().length, 0)
})

t.test('a full declaration answers both kinds of request', async (t) => {
  const { app } = await buildApp(t, anonymous)
  app.route({
    method: 'GET',
    url: '/both',
    handler: () => 'over HTTP',
    wsHandler: (socket) => socket.send('over a WebSocket')
  })
  app.get('/only', { websocket: true }, (socket) => socket.close())
  t.equal((await app.inject('/both')).body, 'over HTTP')
  t.equal((await app.inject('/only')).statusCode, 426)
  t.equal((await app.inject({ url: '/both', method: 'HEAD' })).statusCode, 200)
  const socket = await connect(app, '/both')
  t.equal(await socket.next(), 'over a WebSocket')
  t.match(await (await connect(app, '/only')).closed(), { code: 1005 })
})

t.test('a message is validated', async (t) => {
  t.test('by Ajv, with shared schemas', async (t) => {
    const { app } = await buildApp(t, anonymous)
    app.addSchema({ $id: 'point', type: 'object', required: ['x'], properties: { x: { type: 'number' } } })
    app.ws('/ws', { schema: { message: { type: 'array', items: { $ref: 'point#' } } } }, echo)
    const socket = await connect(app, '/ws')
    socket.send([{ x: 1 }])
    t.same(await socket.next(), { echo: [{ x: 1 }] })
    socket.send([{ y: 1 }])
    t.match(await socket.next(), { error: { code: 'invalid_message', issues: [{ keyword: 'required' }] } })
    socket.send([{ x: 2 }])
    t.same(await socket.next(), { echo: [{ x: 2 }] }, 'and the connection goes on')
  })

  t.test('by a scope’s own Zod compiler, beside a route with Ajv', async (t) => {
    const { app } = await buildApp(t, anonymous)
    app.register(async (child) => {
      child.setValidatorCompiler(validatorCompiler)
      child
        .withTypeProvider<ZodTypeProvider>()
        .ws('/zod', { schema: { message: z.object({ at: z.coerce.number() }) } }, async (socket) => {
          for await (const { at } of socket.messages()) socket.sendJson(at.toFixed(1))
        })
    })
    app.ws('/ajv', { schema: { message: { type: 'object', required: ['a'] } } }, echo)
    const zod = await connect(app, '/zod')
    zod.send({ at: '7' })
    t.equal(await zod.next(), '7.0', 'what the schema makes of it is what the handler gets')
    zod.send({ at: 'x' })
    t.match(await zod.next(), { error: { code: 'invalid_message', issues: [{}] } })
    const ajv = await connect(app, '/ajv')
    ajv.send({})
    t.match(await ajv.next(), { error: { code: 'invalid_message' } })
  })

  t.test('by a route’s own compiler', async (t) => {
    const { app } = await buildApp(t, anonymous)
    const schema = { message: z.string() }
    app.ws('/zod', { validatorCompiler, schema }, echo)
    const socket = await connect(app, '/zod')
    socket.send('a')
    t.same(await socket.next(), { echo: 'a' })
    socket.send(1)
    t.match(await socket.next(), { error: { code: 'invalid_message' } })
  })

  t.test('by TypeBox', async (t) => {
    const { app } = await buildApp(t, anonymous)
    const typed = app.withTypeProvider<TypeBoxTypeProvider>()
    const message = Type.Object({ text: Type.String({ maxLength: 3 }) })
    typed.ws('/ajv', { schema: { message } }, async (socket) => {
      for await (const { text } of socket.messages()) socket.sendJson(text.length)
    })
    typed.ws('/own', { validatorCompiler: TypeBoxValidatorCompiler, schema: { message } }, async (socket) => {
      for await (const { text } of socket.messages()) socket.sendJson(text.length)
    })
    for (const path of ['/ajv', '/own']) {
      const socket = await connect(app, path)
      socket.send({ text: 'abc' })
      t.equal(await socket.next(), 3)
      socket.send({ text: 'abcd' })
      t.match(await socket.next(), { error: { code: 'invalid_message', issues: [{}] } })
    }
  })

  t.test('not at all without a schema', async (t) => {
    const { app } = await buildApp(t, anonymous)
    app.ws('/ws', {}, echo)
    app.ws('/undefined', { schema: { message: undefined } }, echo)
    for (const path of ['/ws', '/undefined']) {
      const socket = await connect(app, path)
      socket.send({ any: ['thing'] })
      t.same(await socket.next(), { echo: { any: ['thing'] } })
    }
  })
})

t.test('config.realtime sets a route’s own', async (t) => {
  t.test('authentication, either way', async (t) => {
    const { app } = await buildApp(t)
    app.ws('/open', { config: { realtime: { auth: false } } }, async (socket) => socket.sendJson(socket.user))
    app.ws('/closed', async (socket) => socket.sendJson(socket.user?.sub))
    t.equal(await (await connect(app, '/open')).next(), null)
    t.equal(await (await connect(app, '/open', { token: 'not looked at'.replaceAll(' ', '') })).next(), null)
    t.match(await connect(app, '/closed').catch((error: unknown) => error), { statusCode: 401 })
    const anonymousByDefault = await buildApp(t, anonymous)
    anonymousByDefault.app.ws('/closed', { config: { realtime: { auth: {} } } }, async (socket) => {
      socket.sendJson(socket.user?.sub)
    })
    t.equal(
      await (await connect(anonymousByDefault.app, '/closed', { token: testToken({ sub: 'ada' }) })).next(),
      'ada'
    )
    t.match(await connect(anonymousByDefault.app, '/closed').catch((error: unknown) => error), { statusCode: 401 })
  })

  t.test('tokens of its own in the URL, which no log line shows', async (t) => {
    const { app, logs } = await buildApp(t)
    const own = testToken({ sub: 'invited' })
    const read: unknown[] = []
    app.get('/invited', { websocket: true, config: { realtime: { auth: false } } }, (socket, request) => {
      read.push(request.query)
      socket.close()
    })
    await (await connect(app, `/invited?invite=${own}&a=1&access_token=x&access_token=y`)).closed()
    t.same(read, [{ invite: own, a: '1', access_token: ['redacted', 'redacted'] }])
    t.notMatch(JSON.stringify(logs), own)
  })

  t.test('limits, and the others keep theirs', async (t) => {
    const { app } = await buildApp(t, { ...anonymous, limits: { maxPayload: 1_000 } })
    app.ws('/small', { config: { realtime: { limits: { maxPayload: 10 } } } }, echo)
    app.ws('/large', { config: { realtime: { limits: { maxPayload: 100_000 } } } }, echo)
    app.get('/raw', { websocket: true, config: { realtime: { limits: { maxPayload: 20 } } } }, (socket) => {
      socket.on('message', (data) => socket.send(String(data).length))
    })
    app.ws('/usual', echo)
    const most = { '/small': 10, '/large': 100_000, '/raw': 20, '/usual': 1_000 }
    for (const [path, bytes] of Object.entries(most)) {
      const socket = await connect(app, path)
      socket.sendRaw(JSON.stringify('x'.repeat(bytes - 2)))
      t.ok(await socket.next(), `${path} takes ${bytes}`)
      socket.sendRaw('x'.repeat(bytes + 1))
      t.match(await socket.closed(), { code: 1009 }, 'and no more')
    }
  })
})

t.test('hooks of @fastify/rate-limit are told from others', async (t) => {
  const { app } = await buildApp(t, anonymous, { before: (app) => app.register(rateLimit, { global: false }) })
  let ran = 0
  app.ws('/own', { onRequest: async () => void ran++ }, async () => undefined)
  app.ws('/none', async () => undefined)
  for (const path of ['/own', '/none']) t.match(await (await connect(app, path)).closed(), { code: 1000 })
  t.equal(ran, 1)
})

t.test('what a handler throws is decided on by one look at it', async (t) => {
  // Its code was read again for each question, and a getter that throws later ended the process.
  const { app, logs } = await buildApp(t, anonymous, { jwt: false })
  const thrown = () => {
    let looks = 0
    return Object.defineProperty(new Error('thrown'), 'code', {
      get() {
        if (++looks > 1) throw new Error('hidden')
        return 'FST_RT_UNAVAILABLE'
      }
    })
  }
  app.ws('/async', async () => {
    throw thrown()
  })
  app.ws('/sync', () => {
    throw thrown()
  })
  for (const path of ['/async', '/sync']) t.match(await (await connect(app, path)).closed(), { code: 1013 }, path)
  const lines = logs.filter(({ msg }) => msg === 'socket handler ended: unavailable')
  t.match(lines, [{ err: { message: 'thrown' } }, { err: { message: 'thrown' } }])
})
