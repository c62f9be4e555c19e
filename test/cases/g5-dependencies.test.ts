import { register } from 'node:module'
import Fastify from 'fastify'
import t from 'tap'
import realtime from '../../lib/index.ts'

/* Packages that an application has to install if it uses them: each is missing here. */

const MISSING = `
export async function resolve(specifier, context, next) {
  if (specifier === 'prom-client') throw Object.assign(new Error('not installed'), { code: 'ERR_MODULE_NOT_FOUND' })
  return next(specifier, context)
}`
register(`data:text/javascript,${encodeURIComponent(MISSING)}`)

t.test('case 168: the option metrics without prom-client says what to install', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  const registry = { registerMetric: () => undefined, getSingleMetric: () => undefined }
  const failure = {
    code: 'FST_RT_DEPENDENCY',
    message: /prom-client.*install it, or leave out the option metrics/,
    cause: { message: 'not installed' }
  }
  await t.rejects(async () => app.register(realtime, { auth: false, metrics: registry as never }), failure)
})
