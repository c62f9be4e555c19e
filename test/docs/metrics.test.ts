import { Registry } from 'prom-client'
import t from 'tap'
import * as errors from '../../lib/errors.ts'
import { connect } from '../../lib/testing/index.ts'
import { buildApp } from '../support/app.ts'
import { code, read, table } from './pages.ts'

/* docs/metrics.md against what a registry holds. */

t.test('every metric stands there once, with its type and its labels', async (t) => {
  const metrics = new Registry()
  const { app } = await buildApp(t, { metrics })
  await app.ready()
  const held = metrics.getMetricsAsArray() as unknown as { name: string; type: string; labelNames: string[] }[]
  const rows = table('docs/metrics.md', 'name')
  t.same(
    rows
      .map(({ name, type, labels = '' }) => ({ name: code(name), type, labels: labels.replaceAll('`', '') }))
      .sort(byName),
    held.map(({ name, type, labelNames }) => ({ name, type, labels: labelNames.join(', ') })).sort(byName)
  )
  for (const { name, meaning } of rows) t.ok(meaning, name ?? '')
})

t.test('every name and every reason in the text exists', async (t) => {
  const page = read('docs/metrics.md')
  const metrics = new Registry()
  const { app } = await buildApp(t, { metrics })
  app.ws('/here', async () => undefined)
  await t.rejects(connect(app, '/here', {}), { code: 'FST_RT_TEST_REFUSED' })
  t.match(await metrics.metrics(), 'realtime_handshakes_refused_total{reason="unauthorized"} 1')
  const names = new Set(metrics.getMetricsAsArray().map(({ name }) => name))
  for (const [name] of page.matchAll(/realtime_\w+/g)) t.ok(names.has(name), name)

  const codes = Object.values(errors).map((Coded) => new (Coded as new () => { code: string })().code)
  const reasons = new Set([...codes.map((code) => code.slice('FST_RT_'.length).toLowerCase()), 'rate_limited', 'error'])
  const listed = /^- `reason` of a handshake.*$/m.exec(page)?.[0].matchAll(/`([a-z_]+)`/g) ?? []
  for (const [, reason = ''] of [...listed].slice(1)) t.ok(reasons.has(reason), reason)
  for (const [, reason = ''] of page.matchAll(/refused_total\{reason="(\w+)"/g)) t.ok(reasons.has(reason), reason)
})

function byName(a: { name?: string | undefined }, b: { name?: string | undefined }): number {
  return (a.name ?? '') < (b.name ?? '') ? -1 : 1
}
