import { Registry } from 'prom-client'
import t, { type Test } from 'tap'
import { parse } from 'yaml'
import { buildApp } from '../support/app.ts'
import { read } from './pages.ts'

/* The Grafana dashboard and the alert rules under docs/grafana, against the metrics that there are. */

interface Panel {
  readonly id: number
  readonly type: string
  readonly title: string
  readonly description?: string
  readonly gridPos: { readonly h: number; readonly w: number; readonly x: number; readonly y: number }
  readonly datasource?: { readonly uid: string }
  readonly fieldConfig?: { readonly defaults: { readonly unit?: string } }
  readonly targets?: readonly { readonly expr: string; readonly datasource: { readonly uid: string } }[]
}

interface Variable {
  readonly name: string
  readonly type: string
  readonly definition?: string
}

interface Dashboard {
  readonly title: string
  readonly schemaVersion: number
  readonly panels: readonly Panel[]
  readonly templating: { readonly list: readonly Variable[] }
  readonly annotations: { readonly list: readonly { readonly expr?: string }[] }
}

interface Rule {
  readonly alert: string
  readonly expr: string
  readonly for: string
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
}

const dashboard: Dashboard = JSON.parse(read('docs/grafana/fastify-realtime.json'))
const alerts: { groups: { name: string; rules: Rule[] }[] } = parse(read('docs/grafana/alerts.yml'))
const rules = alerts.groups.flatMap((group) => group.rules)
const panels = dashboard.panels.filter(({ type }) => type !== 'row')

// What Prometheus itself puts on every series, and on the buckets of a histogram.
const COMMON = ['job', 'instance', 'le']
const PARTS = ['_bucket', '_sum', '_count']

/** The labels of each series, by its name as Prometheus knows it. */
async function series(t: Test): Promise<Map<string, readonly string[]>> {
  const metrics = new Registry()
  const { app } = await buildApp(t, { metrics })
  await app.ready()
  const held = metrics.getMetricsAsArray() as unknown as { name: string; type: string; labelNames: string[] }[]
  return new Map(
    held.flatMap(({ name, type, labelNames }): [string, string[]][] =>
      (type === 'histogram' ? PARTS : ['']).map((part) => [name + part, labelNames])
    )
  )
}

/** Names and labels in an expression that there aren't. */
function strangers(expr: string, known: ReadonlyMap<string, readonly string[]>): string[] {
  const names = [...expr.matchAll(/realtime_\w+/g)].map(([name]) => name)
  const unknown = names.filter((name) => !known.has(name))
  const allowed = new Set([...COMMON, ...names.flatMap((name) => known.get(name) ?? [])])
  const listed = [...expr.matchAll(/\b(?:by|on|without|ignoring) \(([^)]*)\)/g)].flatMap(([, list = '']) =>
    list.split(/, */)
  )
  const matched = [...expr.matchAll(/\{([^{}]*)\}/g)].flatMap(([, matchers = '']) =>
    [...matchers.matchAll(/(\w+) *[=!]/g)].map(([, label = '']) => label)
  )
  return [...unknown, ...[...listed, ...matched].filter((label) => !allowed.has(label))]
}

t.test('every panel and every alert asks for series and labels that there are', async (t) => {
  const known = await series(t)
  const expressions = [
    ...panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr)),
    ...dashboard.templating.list.map(({ definition = '' }) => definition),
    ...dashboard.annotations.list.map(({ expr = '' }) => expr),
    ...rules.map(({ expr }) => expr)
  ]
  for (const expr of expressions) t.same(strangers(expr, known), [], expr)
  t.same(strangers('sum by (job, nonsense) (realtime_nonsense{x="1"}) / realtime_channels', known), [
    'realtime_nonsense',
    'nonsense',
    'x'
  ])
  t.same(strangers('sum by (route) (realtime_closes_total{code="1"})', known), ['route'], 'a label of another metric')
})

t.test('the dashboard shows every metric', async (t) => {
  const asked = panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr)).join('\n')
  for (const name of (await series(t)).keys()) {
    if (!/_(sum|count)$/.test(name)) t.match(asked, new RegExp(`\\b${name}\\b`))
  }
})

t.test(
  'panels have a title, a description, a unit, a place of their own and the data source that is chosen',
  async (t) => {
    t.ok(dashboard.schemaVersion >= 39)
    t.match(dashboard.templating.list[0], { name: 'datasource', type: 'datasource' })
    t.equal(new Set(dashboard.panels.map(({ id }) => id)).size, dashboard.panels.length)
    const cells = new Set<string>()
    let size = 0
    for (const { title, gridPos } of dashboard.panels) {
      t.ok(title)
      const { x, y, w, h } = gridPos
      t.ok(x >= 0 && x + w <= 24, `${title} lies within the grid`)
      for (let at = 0; at < w * h; at++) cells.add(`${x + (at % w)},${y + Math.floor(at / w)}`)
      size += w * h
    }
    t.equal(cells.size, size, 'no panel lies over another')
    for (const { title, description, datasource, fieldConfig, targets = [] } of panels) {
      t.ok(description, `${title}: description`)
      t.ok(fieldConfig?.defaults.unit, `${title}: unit`)
      t.ok(targets.length > 0, `${title}: targets`)
      for (const source of [datasource, ...targets.map((target) => target.datasource)])
        t.match(source?.uid, /^\$\{datasource\}$/)
    }
  }
)

t.test('alerts say how long, how bad, what it is and what to do', async (t) => {
  t.equal(new Set(rules.map(({ alert }) => alert)).size, rules.length)
  t.ok(rules.length >= 8)
  for (const { alert, for: long, labels, annotations } of rules) {
    t.match(alert, /^Realtime[A-Z]\w+$/)
    t.match(long, /^\d+m$/, `${alert}: for`)
    t.ok(['warning', 'critical'].includes(labels.severity ?? ''), `${alert}: severity`)
    t.match(annotations.summary, /\{\{ \$labels\.(job|instance) \}\}/, `${alert}: whose`)
    t.ok((annotations.description ?? '').length > 60, `${alert}: description`)
  }
})

t.test('codes and reasons in the rules are those of the documentation', async (t) => {
  const metrics = read('docs/metrics.md')
  const codes = read('docs/close-codes.md')
  for (const { expr } of rules) {
    for (const [, list = ''] of expr.matchAll(/reason=~?"([^"]+)"/g)) {
      for (const reason of list.split('|')) t.match(metrics, `\`${reason}\``)
    }
    for (const [, code = ''] of expr.matchAll(/code="(\d+)"/g)) t.match(codes, `| ${code} |`)
    for (const [, value = ''] of expr.matchAll(/(?:outcome|how)="(\w+)"/g)) t.match(metrics, `${value}`)
  }
})
