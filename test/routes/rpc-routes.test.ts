import type { FastifyInstance } from 'fastify'
import t from 'tap'
import type { CallContext } from '../../lib/options/hooks.ts'
import { type MethodHandler, type MethodOptions, RpcRoutes, rpcDecorator } from '../../lib/routes/rpc-routes.ts'
import type { ScopeHooks } from '../../lib/routes/scope-hooks.ts'
import { buildApp } from '../support/app.ts'

const code = 'FST_RT_INVALID_METHOD'

const NO_HOOKS = { guardOf: () => undefined } as unknown as ScopeHooks

/** A scope of an application, as far as methods go; what it was asked to compile stands in `compiled`. */
function scope(prefix = '') {
  const compiled: unknown[] = []
  const compiler = (what: string) => (part: object) => {
    compiled.push(part)
    return () => what
  }
  const app = { prefix, validatorCompiler: compiler('valid'), serializerCompiler: compiler('written'), answer: 42 }
  return { app: app as unknown as FastifyInstance, compiled }
}

t.test('a method is found by its name, and called with its scope as this', async (t) => {
  const routes = new RpcRoutes()
  const { app } = scope()
  routes.add(
    'answer',
    {},
    function ({ data }) {
      return [(this as unknown as { answer: number }).answer, data]
    },
    app
  )
  t.same(routes.find('answer')?.handler({ data: 1 } as CallContext), [42, 1])
  t.equal(routes.find('toString'), undefined)
})

t.test('its schemas are compiled once all plugins are loaded, by the compilers of its scope', async (t) => {
  const routes = new RpcRoutes()
  const { app, compiled } = scope()
  const [data, response] = [{ type: 'string' }, { type: 'number' }]
  routes.add('both', { schema: { data, response } }, () => 1, app)
  routes.add('none', {}, () => 1, app)
  t.same(compiled, [])
  routes.compile(NO_HOOKS)
  routes.compile(NO_HOOKS)
  t.same(
    compiled,
    [
      { method: 'POST', url: 'both', schema: data, httpPart: 'body' },
      { method: 'POST', url: 'both', schema: response, httpStatus: '200' }
    ],
    'once'
  )
  const { validator, serializer } = routes.find('both') ?? {}
  t.equal(validator?.(1), 'valid')
  t.equal(serializer?.(1), 'written')
  t.strictSame(Object.keys(routes.find('none') ?? {}), ['handler', 'guard'])
})

t.test('declarations that are wrong say how to mend them', async (t) => {
  const routes = new RpcRoutes()
  const { app } = scope()
  const handler = () => 1
  routes.add('taken', {}, handler, app)
  const wrong: [method: unknown, options: unknown, handler: unknown, message: RegExp][] = [
    ['', {}, handler, /name it/],
    [5, {}, handler, /name it/],
    ['a', {}, undefined, /give a handler/],
    ['a', {}, {}, /give a handler/],
    ['a', 5, handler, /options as an object/],
    ['a', null, handler, /options as an object/],
    ['taken', {}, handler, /declared already/],
    ['a', { shcema: {} }, handler, /no option shcema; schema is/],
    ['a', { schema: null }, handler, /make schema an object/],
    ['a', { schema: 5 }, handler, /make schema an object/],
    ['a', { schema: { body: {} } }, handler, /unknown schema\.body; use one of data, response/]
  ]
  for (const [method, options, given, message] of wrong) {
    const add = () => routes.add(method as string, options as MethodOptions, given as MethodHandler, app)
    t.throws(add, { code, message } as never, String(message))
  }
  const late = new RpcRoutes()
  late.compile(NO_HOOKS)
  t.throws(() => late.add('a', {}, handler, app), { code, message: /before the application is ready/ } as never)
  t.equal(routes.find('a'), undefined)
})

t.test('the decorator names methods after their scope, and says that there are some', async (t) => {
  const routes = new RpcRoutes()
  let declared = 0
  const rpc = rpcDecorator(routes, () => declared++)
  for (const [prefix, name] of [
    ['', 'a'],
    ['/v1', 'v1/a'],
    ['/v1/', 'v1/b']
  ] as const) {
    const { app } = scope(prefix)
    const own = name.split('/').at(-1) as string
    t.equal(
      rpc.call(app, own, () => name),
      app,
      'and can be chained'
    )
    t.equal(routes.find(name)?.handler({} as CallContext), name)
  }
  const { app, compiled } = scope()
  rpc.call(app, 'strict', { schema: { data: {} } }, () => 1)
  routes.compile(NO_HOOKS)
  t.equal(compiled.length, 1)
  t.equal(declared, 4)
  const call = rpc as (this: unknown, ...args: unknown[]) => unknown
  for (const args of [['', () => 1], [5, () => 1], ['b'], ['b', {}]]) {
    t.throws(() => call.apply(scope('/v1').app, args), { code } as never)
  }
  t.equal(declared, 4, 'what is refused is none')
})

t.test('a schema that does not compile fails the boot, and says whose it is', async (t) => {
  for (const [part, schema] of [
    ['data', { type: 'no such type' }],
    ['response', { $ref: 'nowhere#' }]
  ] as const) {
    const { app } = await buildApp(t, { auth: false })
    app.rpc('sum', { schema: { [part]: schema } }, () => 1 as never)
    await t.rejects(
      app.ready() as unknown as Promise<void>,
      { code, message: new RegExp(`^Method sum: schema\\.${part} does not compile`) } as never
    )
  }
})
