import cluster from 'node:cluster'
import { hostname } from 'node:os'
import { test } from 'tap'
import { resolveDashboardOptions } from '../../lib/dashboard/options.ts'

test('options and their defaults', async (t) => {
  t.same(resolveDashboardOptions({}), { key: undefined, hooks: [], name: hostname() })
  const hook = async () => {}
  const given = resolveDashboardOptions({ key: '0123456789abcdef', onRequest: hook, name: 'eu-1', prefix: '/x' })
  t.same(given, { key: '0123456789abcdef', hooks: [hook], name: 'eu-1' })
  t.equal(resolveDashboardOptions({ onRequest: [hook, hook] }).hooks.length, 2)
})

test('a worker is named by its number', async (t) => {
  t.teardown(() => Object.assign(cluster, { isWorker: false, worker: undefined }))
  Object.assign(cluster, { isWorker: true, worker: { id: 3 } })
  t.equal(resolveDashboardOptions({}).name, 'worker 3')
})

test('wrong options say how to fix them', async (t) => {
  const wrong = [
    [{ key: 'short' }, 'key'],
    [{ key: 'with a space in the key' }, 'key'],
    [{ key: 5 }, 'key'],
    [{ onRequest: 'hook' }, 'onRequest'],
    [{ onRequest: [5] }, 'onRequest'],
    [{ name: '' }, 'name'],
    [{ name: 5 }, 'name'],
    [{ name: 'x'.repeat(65) }, 'name']
  ] as const
  for (const [options, name] of wrong) {
    t.throws(() => resolveDashboardOptions(options as never), {
      code: 'FST_RT_INVALID_OPTION',
      message: new RegExp(`Option ${name}: give `)
    })
  }
})
