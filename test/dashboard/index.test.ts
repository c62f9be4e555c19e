import Fastify, { type FastifyInstance } from 'fastify'
import { type Test, test } from 'tap'
import dashboard, { dashboard as named } from '../../lib/dashboard/index.ts'
import realtime from '../../lib/index.ts'
import { buildApp as build } from '../support/app.ts'

const KEY = 'a-key-of-many-characters'
const unguarded = { code: 'FST_RT_UNGUARDED_DASHBOARD', message: /give the option key/ }
const buildApp = (t: Test) => build(t, { auth: false }, { jwt: false })
const inject = (app: FastifyInstance, url: string) => app.inject({ url })

test('one export by two names', async (t) => {
  t.equal(dashboard, named)
})

test('it is not opened by accident', async (t) => {
  const { app } = await buildApp(t)
  // Plugins like helmet and cookie add such hooks.
  app.addHook('onRequest', async () => {})
  await t.rejects(async () => await app.register(dashboard, { prefix: '/dashboard' }), unguarded)
})

test('a hook in a scope guards it, and all of its routes', async (t) => {
  const { app } = await buildApp(t)
  await app.register(async (scope) => {
    scope.addHook('preHandler', async (_request, reply) => reply.code(403).send({ message: 'no' }))
    await scope.register(async (inner) => inner.register(dashboard, { prefix: '/dashboard' }), { prefix: '/ops' })
  })
  for (const path of ['/', '/page.js', '/page.css', '/icon.svg']) {
    t.equal((await inject(app, `/ops/dashboard${path}`)).statusCode, 403, path)
  }
  for (const path of ['live', 'depths', 'disconnect']) {
    const { statusCode } = await app.inject({ method: 'POST', url: `/ops/dashboard/${path}`, payload: {} })
    t.equal(statusCode, 403, path)
  }
})

test('so does the option onRequest', async (t) => {
  const { app } = await buildApp(t)
  let answer = 401
  await app.register(dashboard, {
    prefix: '/dashboard',
    onRequest: [
      async (_request, reply) => (answer === 200 ? undefined : reply.code(answer).send({})),
      (_request, _reply, done) => done()
    ]
  })
  t.equal((await inject(app, '/dashboard/')).statusCode, 401)
  answer = 200
  t.equal((await inject(app, '/dashboard/')).statusCode, 200)
})

test('it needs fastify-realtime around it', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  await t.rejects(async () => await app.register(dashboard, { key: KEY }), {
    code: 'FST_RT_DEPENDENCY',
    message: /register it before the dashboard/
  })
  const other = Fastify()
  t.teardown(() => other.close())
  other.decorate('realtime', {} as never)
  await t.rejects(async () => await other.register(dashboard, { key: KEY }), { code: 'FST_RT_DEPENDENCY' })
})

test('several dashboards of one application are possible', async (t) => {
  const { app } = await buildApp(t)
  await app.register(dashboard, { prefix: '/one', key: KEY })
  await app.register(dashboard, { prefix: '/two', onRequest: async () => {} })
  await app.ready()
  for (const url of ['/one/', '/two/']) t.equal((await inject(app, url)).statusCode, 200)
})

test('its headers replace those of others, also with refusals', async (t) => {
  const { app } = await buildApp(t)
  app.addHook('onRequest', async (_request, reply) => {
    reply.headers({ 'content-security-policy': "default-src 'self'", 'x-other': '1', 'cache-control': 'public' })
  })
  app.addHook('onSend', async (_request, reply) => void reply.header('content-security-policy', "script-src 'none'"))
  await app.register(dashboard, { prefix: '/dashboard', key: KEY })
  for (const url of ['/dashboard/', '/dashboard/nothing']) {
    const { headers } = await inject(app, url)
    t.equal(headers['x-other'], '1')
    if (url.endsWith('/')) t.match(headers['content-security-policy'], /^default-src 'none'/)
  }
  t.equal((await inject(app, '/dashboard/')).headers['cache-control'], 'private, no-cache')
  const refused = await app.inject({ method: 'POST', url: '/dashboard/live', payload: {} })
  t.match(refused.headers, { 'cache-control': 'no-store', 'content-security-policy': /^default-src 'none'/ })
  t.equal(refused.statusCode, 401)
})

test('it stays in the scope of a fastify-realtime that is not at the root', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(async (scope) => {
    await scope.register(realtime, { auth: false })
    await scope.register(dashboard, { prefix: '/dashboard', key: KEY })
    scope.ws('/live', async () => {})
  })
  t.equal((await inject(app, '/dashboard/')).statusCode, 200)
})
