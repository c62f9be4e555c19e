import t from 'tap'
import { BOUNDS, DEFAULTS, type RealtimeOptions, type RouteSettings } from '../../lib/options/options.ts'
import { resolveRoute } from '../../lib/options/resolve-options.ts'
import { code, read, table } from './pages.ts'

/* docs/options.md against the code: every option once, with its default, its bounds and its unit, and no other. */

// Options that have no default of their own, or one that is a sentence.
const WITHOUT_DEFAULT: Readonly<Record<string, string>> = {
  redis: 'none',
  auth: 'on',
  'auth.verify': 'none',
  'auth.authenticate': 'none',
  origins: "the request's own host",
  metrics: 'none',
  'channels.url': 'none',
  'channels.http': 'on',
  'channels.onConnect': 'none',
  'channels.onMessage': 'none',
  'limits.messages': 'on',
  'limits.bytes': 'on'
}
const TOP: Readonly<Record<keyof RealtimeOptions, true>> = {
  redis: true,
  prefix: true,
  auth: true,
  origins: true,
  heartbeat: true,
  limits: true,
  drain: true,
  channels: true,
  metrics: true,
  logConnections: true
}
// With a rate of users, which is given whole where there is none yet: its parts are tried one by one.
const LIMITS = { ...DEFAULTS.limits, userMessages: { rate: 1, burst: 1 } }
const SETTINGS = { ...DEFAULTS, limits: LIMITS, origins: undefined } as unknown as RouteSettings

function leaves(value: unknown, path: string[] = []): [string, unknown][] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return [[path.join('.'), value]]
  return Object.entries(value).flatMap(([key, inner]) => leaves(inner, [...path, key]))
}

/** Whether a route may say anything about an option. */
function isPerRoute(option: string, value: unknown): boolean {
  const overrides = option.split('.').reduceRight((inner, key) => ({ [key]: inner }), value) as object
  try {
    resolveRoute(SETTINGS, overrides)
    return true
  } catch (error) {
    if ((error as { code?: string }).code === 'FST_RT_INVALID_OPTION') return false
    throw error
  }
}

const SAMPLES: Readonly<Record<string, unknown>> = {
  redis: 'redis://localhost',
  auth: false,
  'auth.verify': () => ({}),
  'auth.authenticate': () => undefined,
  origins: '*',
  metrics: {},
  'channels.url': '/live',
  'channels.http': false,
  'channels.onConnect': () => ({}),
  'channels.onMessage': () => ({}),
  'limits.messages': false,
  'limits.bytes': false,
  'limits.userMessages': { rate: 1, burst: 1 }
}

const rows = table('docs/options.md', 'option')
const defaults = new Map(leaves(DEFAULTS))
const expected = new Set([...defaults.keys(), ...Object.keys(BOUNDS), ...Object.keys(WITHOUT_DEFAULT)])

t.test('every option stands there once, and no other', async (t) => {
  t.same(rows.map(({ option }) => code(option)).sort(), [...expected].sort())
  const first = new Set([...expected].map((option) => option.split('.')[0]))
  t.same([...first].sort(), Object.keys(TOP).sort())
})

t.test('each with its default, its bounds, its unit, and whether a route may set it', async (t) => {
  for (const row of rows) {
    const option = code(row.option) ?? ''
    const value = defaults.get(option)
    const sentence = WITHOUT_DEFAULT[option] ?? 'none'
    t.equal(row.default, defaults.has(option) ? `\`${text(value)}\`` : sentence, `default of ${option}`)
    const bounds = BOUNDS[option]
    if (bounds !== undefined) {
      const [least, most, unit] = bounds
      t.equal(row.bounds, `${least} to ${most}`, `bounds of ${option}`)
      t.equal(row.unit, unit, `unit of ${option}`)
    } else t.equal(row.unit, '', `${option} has no unit`)
    // A rate that is off by default is given whole.
    const [asked = option] = /^limits\.userMessages/.exec(option) ?? []
    t.equal(row.route, isPerRoute(asked, SAMPLES[asked] ?? value) ? 'yes' : 'no', `${option} per route`)
    t.ok(row.meaning, `meaning of ${option}`)
  }
})

t.test("the README's short form names options that exist", async (t) => {
  const short = table('README.md', 'option').map(({ option }) => code(option) ?? '')
  t.ok(short.length > 0)
  for (const option of short) t.ok(option in TOP, option)
  t.match(read('README.md'), '(docs/options.md)')
})

function text(value: unknown): string {
  return value === Number.POSITIVE_INFINITY ? 'Infinity' : JSON.stringify(value)
}
