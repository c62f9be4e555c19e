import Fastify from 'fastify'
import t from 'tap'
import { internal, rootOf } from '../lib/dependencies.ts'

t.test('what an instance keeps is found from every scope', async (t) => {
  const app = Fastify({ caseSensitive: false })
  t.teardown(() => app.close())
  await app.register(async (scope) => {
    await scope.register(async (inner) => {
      const options = internal<{ routerOptions: object }>(inner, 'fastify.options', 'x')
      t.match(options.routerOptions, { caseSensitive: false })
      t.equal(rootOf(inner), app)
    })
  })
  t.equal(rootOf(app), app)
  t.throws(() => internal(app, 'of no version', 'use another'), {
    code: 'FST_RT_DEPENDENCY',
    message: 'fastify: use another'
  })
})
