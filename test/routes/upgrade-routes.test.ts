import Fastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify'
import t, { type Test } from 'tap'
import { type DeclaredOwner, UpgradeRoutes } from '../../lib/routes/upgrade-routes.ts'

/* Whose a path is: the same as Fastify's router says, whatever its options are. */

interface Asked {
  url: string
  headers?: Record<string, string>
}

function ownerOf(given: object | undefined): DeclaredOwner {
  const config = given as { ws?: boolean; stream?: boolean } | undefined
  return config?.ws ? 'ours' : config?.stream ? 'stream' : 'plain'
}

/** Declares routes; those under `ws` are WebSocket routes. Gives whose a path is. */
async function rig(t: Test, options: FastifyServerOptions, declare: (app: FastifyInstance) => unknown) {
  const app = Fastify(options)
  t.teardown(() => app.close())
  const paths = new UpgradeRoutes(app)
  app.addHook('onRoute', (route) => paths.declared(route, ownerOf(route.config)))
  await declare(app)
  await app.ready()
  paths.compile()
  const ask = ({ url, headers = {} }: Asked) =>
    new Promise<string>((resolve) => {
      paths.find({ method: 'GET', url, headers: { host: 'a.example', ...headers } } as never, resolve)
    })
  return { paths, ask }
}

const ws = { config: { ws: true } }
const handler = () => 'x'

t.test('a plain route hides a WebSocket route with parameters', async (t) => {
  const { ask, paths } = await rig(t, {}, (app) => {
    app.get('/rooms/:room', ws, handler)
    app.get('/rooms/list', handler)
    app.post('/rooms/post', handler)
  })
  t.ok(paths.any)
  t.equal(await ask({ url: '/rooms/1?x=/rooms/list' }), 'ours')
  t.equal(await ask({ url: '/rooms/list' }), 'plain')
  t.equal(await ask({ url: '/rooms/post' }), 'ours', 'an upgrade is a GET')
  t.equal(await ask({ url: '/rooms/' }), 'ours')
  for (const url of ['/rooms', '/rooms/1/2', '/%zz', `/rooms/${'x'.repeat(101)}`, '/Rooms/1']) {
    t.not(await ask({ url }), 'ours', url)
  }
  t.equal(await ask({ url: '/elsewhere' }), 'nobody')
})

t.test('a route from before', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  app.get('/old', handler)
  const paths = new UpgradeRoutes(app)
  paths.compile()
  t.notOk(paths.any)
  await app.ready()
  paths.find({ url: '/old', headers: {} } as never, (owner) => t.equal(owner, 'unknown route'))
  t.plan(2)
})

t.test('the options of Fastify’s router', async (t) => {
  const { ask } = await rig(
    t,
    {
      routerOptions: {
        ignoreTrailingSlash: true,
        caseSensitive: false,
        ignoreDuplicateSlashes: true,
        maxParamLength: 3
      },
      rewriteUrl: ({ url }) => (url === '/none' ? (undefined as never) : (url as string).replace('/v1', ''))
    },
    (app) => {
      app.get('/live/:id', ws, handler)
      app.register(
        async (scope) => {
          scope.get('/', ws, handler)
        },
        { prefix: '/api' }
      )
    }
  )
  for (const url of ['/live/1', '/LIVE/1/', '//live//1', '/v1/live/1', '/api', '/api/']) {
    t.equal(await ask({ url }), 'ours', url)
  }
  t.not(await ask({ url: '/live/1234' }), 'ours')
  t.not(await ask({ url: '/none' }), 'ours')
})

t.test('both paths of a route at the root of a prefix', async (t) => {
  const { ask } = await rig(t, {}, (app) => {
    for (const [prefix, prefixTrailingSlash] of Object.entries({
      both: 'both',
      no: 'no-slash',
      yes: 'slash'
    } as const)) {
      app.register(async (scope) => void scope.get('/', { ...ws, prefixTrailingSlash }, handler), { prefix })
    }
    app.register(async (scope) => void scope.get('/*', ws, handler), { prefix: '/all' })
  })
  const ours = []
  for (const url of ['/both', '/both/', '/no', '/no/', '/yes', '/yes/', '/all/', '/all/1']) {
    if ((await ask({ url })) === 'ours') ours.push(url)
  }
  t.same(ours, ['/both', '/both/', '/no', '/yes/', '/all/', '/all/1'])
})

t.test('constraints: version, host, and those of the application', async (t) => {
  const strategy = (name: string) => ({
    name,
    storage: () => {
      const handlers = new Map<unknown, unknown>()
      return {
        get: (value: unknown) => handlers.get(value) ?? null,
        set: (value: unknown, handler: unknown) => void handlers.set(value, handler)
      }
    },
    validate: () => undefined,
    deriveConstraint: (request: { headers: Record<string, string> }, _context: unknown, done?: unknown) => {
      const value = request.headers[`x-${name}`]
      if (typeof done !== 'function') return value
      setImmediate(() => done(null, value))
      return undefined
    }
  })
  const early = strategy('early')
  const later = strategy('later')
  const { ask } = await rig(t, { routerOptions: { constraints: { early } as never } }, (app) => {
    app.addConstraintStrategy({
      ...later,
      deriveConstraint: (request: never) => later.deriveConstraint(request, null)
    } as never)
    app.get('/host', { ...ws, constraints: { host: 'a.example' } }, handler)
    app.get('/host2', { ...ws, constraints: { host: 'b.example' } }, handler)
    app.get('/version', { ...ws, constraints: { version: '1.2.0' } }, handler)
    app.get('/early', { ...ws, constraints: { early: 'x' } }, handler)
    app.get('/later', { ...ws, constraints: { later: 'x' } }, handler)
  })
  t.equal(await ask({ url: '/host' }), 'ours')
  t.equal(await ask({ url: '/host2' }), 'nobody')
  t.equal(await ask({ url: '/version', headers: { 'accept-version': '1.x' } }), 'ours')
  t.equal(await ask({ url: '/version' }), 'nobody')
  t.equal(await ask({ url: '/early', headers: { 'x-early': 'x' } }), 'ours', 'one that answers later')
  t.equal(await ask({ url: '/early', headers: { 'x-early': 'y' } }), 'nobody')
  t.equal(await ask({ url: '/later', headers: { 'x-later': 'x' } }), 'ours')
  t.equal(await ask({ url: '/later' }), 'nobody')
})

t.test('a strategy from before decides in Fastify’s router alone', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  const paths = new UpgradeRoutes(app)
  paths.declared({ method: ['GET', 'HEAD'], url: '/x', constraints: { unknown: 1 }, handler }, 'ours')
  paths.declared({ method: 'GET', url: '/x', constraints: { unknown: 2 }, handler }, 'plain')
  paths.compile()
  paths.find({ url: '/x', headers: {} } as never, (owner) => t.equal(owner, 'ours'))
  t.plan(1)
})

t.test('the paths of streams are known, however they are written', async (t) => {
  const declare = (paths: UpgradeRoutes, app: FastifyInstance) => {
    app.addHook('onRoute', (route) => paths.declared(route, ownerOf(route.config)))
    app.post('/connection/sse', { config: { stream: true } as never }, handler)
    app.get('/other/sse', handler)
    app.post('/rooms/:room/x:y', { config: { stream: true } as never }, handler)
  }
  const make = async (options: FastifyServerOptions = {}) => {
    const app = Fastify(options)
    t.teardown(() => app.close())
    const paths = new UpgradeRoutes(app)
    t.equal(paths.isStream({ url: '/connection/sse', headers: {} } as never), false, 'nothing is declared')
    declare(paths, app)
    await app.ready()
    paths.compile()
    return (url: string) => paths.isStream({ url, headers: {} } as never)
  }
  const isStream = await make()
  for (const url of ['/connection/sse', '/connection/sse?x=1', '/connection/%73se', '/rooms/1/x2?y']) {
    t.equal(isStream(url), true, url)
  }
  for (const url of ['/other/sse', '/connection/ws', '/nowhere/sse', '/%']) t.equal(isStream(url), false, url)
  const rewritten = await make({ rewriteUrl: ({ url }) => (url === '/a' ? '/connection/sse' : '/b') })
  t.same([rewritten('/a'), rewritten('/connection/sse')], [true, false])
  const failing = await make({
    rewriteUrl: () => {
      throw new Error('no')
    }
  })
  t.equal(failing('/a'), true, 'if it is not known, it may be one')
})
