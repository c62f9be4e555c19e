import { Gauge, Registry } from 'prom-client'
import t from 'tap'
import { BOUNDS, DEFAULTS, type RealtimeOptions } from '../../lib/options/options.ts'
import { resolveOptions, resolveRoute } from '../../lib/options/resolve-options.ts'

/** Options as JavaScript may pass them. */
const resolve = (options: unknown) => resolveOptions(options as RealtimeOptions)

/** Options with one value at a path like `limits.messages.rate`. */
function at(path: string, value: unknown): Record<string, unknown> {
  return path.split('.').reduceRight((inner: unknown, key) => ({ [key]: inner }), value) as Record<string, unknown>
}

// What must be given with an option for it to make sense.
const COMPANIONS: Readonly<Record<string, object>> = {
  'limits.userMessages.rate': { burst: 1 },
  'limits.userMessages.burst': { rate: 1 },
  'limits.buffered.soft': { hard: 2 ** 30 },
  'limits.buffered.hard': { soft: 1_024 },
  'drain.delay': { timeout: 7_200_000 },
  'drain.window': { timeout: 7_200_000 },
  'drain.timeout': { delay: 0, window: 0 }
}

function withCompanions(path: string, value: unknown): Record<string, unknown> {
  const keys = path.split('.')
  const last = keys.pop() as string
  return at(keys.join('.'), { ...COMPANIONS[path], [last]: value })
}

const valueAt = (options: unknown, path: string): unknown =>
  path.split('.').reduce((inner, key) => (inner as Record<string, unknown>)[key], options)

t.test('without options the defaults hold', async (t) => {
  t.same(resolve({}), { ...DEFAULTS, origins: undefined, redis: undefined, metrics: undefined })
  t.same(resolve({ auth: undefined, prefix: undefined, limits: { maxDepth: undefined } }), resolve({}))
})

t.test('what Fastify’s own register() adds is none of ours', async (t) => {
  t.same(resolve({ logLevel: 'warn', logSerializers: {}, name: 'x' }), resolve({}))
})

t.test('options are merged level by level, and the defaults stay as they are', async (t) => {
  const before = JSON.stringify(DEFAULTS)
  const { limits, heartbeat } = resolve({ limits: { buffered: { soft: 2_048 }, messages: { rate: 5 } } })
  t.match(limits, { buffered: { soft: 2_048, hard: 1_048_576 }, messages: { rate: 5, burst: 200 }, maxQueue: 64 })
  t.same(heartbeat, DEFAULTS.heartbeat)
  t.equal(JSON.stringify(DEFAULTS), before)
})

t.test('every number has its bounds', async (t) => {
  for (const [path, [least, most]] of Object.entries(BOUNDS)) {
    for (const value of [least, most]) t.equal(valueAt(resolve(withCompanions(path, value)), path), value, path)
    const wrong = [
      least - 1,
      most + 1,
      Number.NaN,
      Number.NEGATIVE_INFINITY,
      String(least),
      null,
      true,
      {},
      least + 1e-9
    ]
    for (const value of wrong) {
      if (value === least + 1e-9 && path.endsWith('.rate')) continue
      t.throws(() => resolve(withCompanions(path, value)), { code: 'FST_RT_INVALID_OPTION' }, `${path}: ${value}`)
    }
    const limitless = path.startsWith('limits.connections.')
    const infinite = withCompanions(path, Number.POSITIVE_INFINITY)
    if (limitless) t.equal(valueAt(resolve(infinite), path), Number.POSITIVE_INFINITY)
    else t.throws(() => resolve(infinite), { code: 'FST_RT_INVALID_OPTION' }, `${path}: Infinity`)
  }
})

t.test('a wrong option is named, with what mends it', async (t) => {
  const cases: [options: unknown, option: string][] = [
    [{ interval: 1 }, 'interval'],
    [{ heartbeat: { intervall: 1 } }, 'heartbeat.intervall'],
    [{ toString: 1 }, 'toString'],
    [{ limits: { constructor: {} } }, 'limits.constructor'],
    [{ heartbeat: 5 }, 'heartbeat'],
    [{ heartbeat: null }, 'heartbeat'],
    [{ heartbeat: [] }, 'heartbeat'],
    [{ heartbeat: false }, 'heartbeat'],
    [{ heartbeat: { visible: 1 } }, 'heartbeat.visible'],
    [{ limits: { buffered: { soft: 2_000_000 } } }, 'limits.buffered.hard'],
    [{ limits: { messages: true } }, 'limits.messages'],
    [{ limits: { userMessages: { rate: 1 } } }, 'limits.userMessages'],
    [{ limits: { userMessages: { burst: 1 } } }, 'limits.userMessages'],
    [{ drain: { window: 30_000 } }, 'drain.timeout'],
    [{ drain: { delay: 20_000 } }, 'drain.timeout'],
    [{ auth: true }, 'auth'],
    [{ auth: { sources: [] } }, 'auth.sources'],
    [{ auth: { sources: ['body'] } }, 'auth.sources'],
    [{ auth: { sources: null } }, 'auth.sources'],
    [{ auth: { authenticate: () => undefined, sources: ['body'] } }, 'auth.sources'],
    [{ auth: { sources: 'query' } }, 'auth.sources'],
    [{ auth: { requiredClaims: [1] } }, 'auth.requiredClaims'],
    [{ auth: { refuse: 'never' } }, 'auth.refuse'],
    [{ auth: { verify: 'yes' } }, 'auth.verify'],
    [{ auth: { authenticate: {} } }, 'auth.authenticate'],
    [{ auth: { authenticate: () => undefined }, origins: ['https://example.com', '*'] }, 'origins'],
    [{ auth: { sources: ['cookie'] }, origins: '*' }, 'origins'],
    [{ channels: { url: 'live' } }, 'channels.url'],
    [{ channels: { url: 5 } }, 'channels.url'],
    [{ channels: { websocket: 'live' } }, 'channels.websocket'],
    [{ channels: { http: true } }, 'channels.http'],
    [{ channels: { http: { poll: '/x' } } }, 'channels.http.poll'],
    [{ channels: { onConnect: true } }, 'channels.onConnect'],
    [{ channels: { onMessage: {} } }, 'channels.onMessage'],
    [{ prefix: '' }, 'prefix'],
    [{ prefix: 'a{b}' }, 'prefix'],
    [{ prefix: 'x'.repeat(65) }, 'prefix'],
    [{ prefix: null }, 'prefix'],
    [{ prefix: 7 }, 'prefix'],
    [{ redis: null }, 'redis'],
    [{ redis: '' }, 'redis'],
    [{ redis: 6379 }, 'redis'],
    [{ metrics: {} }, 'metrics'],
    [{ metrics: null }, 'metrics'],
    [{ metrics: true }, 'metrics'],
    [{ origins: null }, 'origins'],
    [{ origins: 'example.com' }, 'origins'],
    [{ origins: 'localhost:3000' }, 'origins'],
    [{ origins: 'https://*.example.com' }, 'origins'],
    [{ origins: ['http://localhost:*'] }, 'origins'],
    [{ origins: ['https://example.com', 5] }, 'origins']
  ]
  for (const [options, option] of cases) {
    const message = new RegExp(`^Option ${option.replaceAll('.', '\\.')}: \\w`)
    t.throws(() => resolve(options), { code: 'FST_RT_INVALID_OPTION', message }, JSON.stringify(options))
  }
})

t.test('what stays as it was given', async (t) => {
  const verify = () => ({ sub: 'ada' })
  const metrics = new Registry()
  const redis = { host: 'localhost' }
  const channels = { websocket: '/live', onConnect: () => undefined, onMessage: () => undefined }
  const options = resolve({ auth: { verify }, metrics, redis, prefix: 'my-app_1.0', channels })
  t.match(options, { prefix: 'my-app_1.0', channels })
  t.match(options.auth, { verify })
  t.equal(options.metrics, metrics)
  new Gauge({ name: 'realtime_connections', help: 'another application’s', registers: [metrics] })
  t.throws(() => resolve({ metrics }), { code: 'FST_RT_INVALID_OPTION', message: /registry of its own/ })
  t.equal(options.redis, redis)
  t.equal(resolve({ redis: 'redis://localhost' }).redis, 'redis://localhost')
})

t.test('the line at the end of connections is off, or has one of two levels', async (t) => {
  t.equal(resolve({}).logConnections, false)
  t.equal(resolve({ logConnections: undefined }).logConnections, false)
  for (const level of [false, 'debug', 'info'] as const)
    t.equal(resolve({ logConnections: level }).logConnections, level)
  for (const wrong of [true, 'warn', '', null, 0]) {
    t.throws(() => resolve({ logConnections: wrong } as object), {
      code: 'FST_RT_INVALID_OPTION',
      message: /logConnections.*false, 'debug' or 'info'/
    })
  }
})

t.test('case 173: an option that is undefined is one that is not given', async (t) => {
  const nothing = {
    redis: undefined,
    prefix: undefined,
    auth: {
      sources: undefined,
      verify: undefined,
      authenticate: undefined,
      requiredClaims: undefined,
      refuse: undefined
    },
    origins: undefined,
    heartbeat: { interval: undefined, visible: undefined },
    limits: { messages: undefined, bytes: undefined, buffered: { soft: undefined }, connections: undefined },
    drain: undefined,
    channels: { url: undefined, maxCalls: undefined, onConnect: undefined },
    metrics: undefined,
    logConnections: undefined
  }
  t.strictSame(resolve(nothing), resolve({}))
  t.strictSame(resolveRoute(resolve({}), { auth: undefined, limits: { messages: undefined }, origins: undefined }), {
    ...resolveRoute(resolve({}), {})
  })
})

t.test('origins are compared whole', async (t) => {
  const check = () => true
  t.same(resolve({ origins: 'https://Example.com:443/' }).origins, ['https://example.com'])
  t.same(resolve({ origins: ['*', 'http://localhost:3000', check] }).origins, ['*', 'http://localhost:3000', check])
  t.same(resolve({ origins: [] }).origins, [])
  const [pattern] = resolve({ origins: /^https:\/\/\w+\.example\.com$/giy }).origins ?? []
  t.same(
    [1, 2, 3].map(() => (pattern as RegExp).test('https://A.example.com')),
    [true, true, true]
  )
})

t.test('auth and rates can be turned off, and on again by a route', async (t) => {
  const off = resolve({ auth: false, limits: { messages: false, bytes: false, userMessages: false } })
  t.match(off, { auth: false, limits: { messages: false, bytes: false, userMessages: false } })
  const route = resolveRoute(off, {
    auth: { refuse: 'http' },
    limits: {
      messages: { rate: 0.5, burst: 1 },
      bytes: { rate: 2 ** 40, burst: 1_000 },
      userMessages: { rate: 2, burst: 4 }
    }
  })
  t.match(route.limits.bytes, { rate: 2 ** 40, burst: 1_000 })
  t.same(route.auth, { ...DEFAULTS.auth, refuse: 'http' })
  t.match(route.limits, { messages: { rate: 0.5, burst: 1 }, userMessages: { rate: 2, burst: 4 } })
  t.equal(resolveRoute(resolve({}), { auth: false }).auth, false)
})

t.test('a route goes by the registration’s settings, with its own over them', async (t) => {
  const settings = resolve({ origins: 'https://a.example', heartbeat: { interval: 1_000 } })
  t.equal(resolveRoute(settings, undefined), settings)
  t.match(resolveRoute(settings, { heartbeat: { timeout: 500 } }), {
    heartbeat: { interval: 1_000, timeout: 500 },
    origins: ['https://a.example']
  })
  t.same(resolveRoute(settings, { origins: 'https://b.example' }).origins, ['https://b.example'])
  t.match(settings.heartbeat, { interval: 1_000, timeout: 10_000 })
})

t.test('a route cannot set what concerns the whole server', async (t) => {
  const settings = resolve({})
  const wrong: unknown[] = [
    { limits: { connections: { total: 1 } } },
    { limits: { upgradeTimeout: 1_000 } },
    { limits: { publication: 1_000 } },
    { limits: { memoryHistory: 1_000_000 } },
    { drain: {} },
    { redis: 'redis://localhost' },
    { heartbeat: { interval: 1 } }
  ]
  for (const overrides of wrong) {
    t.throws(() => resolveRoute(settings, overrides as object), { code: 'FST_RT_INVALID_OPTION' })
  }
})
