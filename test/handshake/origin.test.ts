import type { FastifyRequest } from 'fastify'
import t from 'tap'
import { originFault } from '../../lib/handshake/origin.ts'
import type { OriginMatcher } from '../../lib/options/options.ts'

/* Over a handshake: test/cases/b-origin.test.ts. */

async function allowed(origin: string, matchers?: OriginMatcher[], host = 'app.example') {
  return (await faultOf(origin, matchers, { host })) === undefined
}

function faultOf(origin: string, matchers: OriginMatcher[] | undefined, request: object) {
  return originFault(origin, { headers: {}, ip: '10.0.0.1', ...request } as FastifyRequest, matchers)
}

t.test('without a list, the pages of the request’s own host', async (t) => {
  const same: [origin: string, host: string][] = [
    ['https://app.example', 'app.example'],
    ['http://app.example', 'app.example'],
    ['HTTPS://App.Example', 'app.example'],
    ['https://app.example:443', 'app.example'],
    ['http://app.example', 'App.Example:80'],
    ['https://app.example', 'app.example:443'],
    ['http://localhost:3000', 'localhost:3000'],
    ['http://[::1]:3000', '[::1]:3000']
  ]
  for (const [origin, host] of same) t.equal(await allowed(origin, undefined, host), true, `${origin} at ${host}`)
  const others: [origin: string, host: string][] = [
    ['https://evil.example', 'app.example'],
    ['https://app.example.evil.example', 'app.example'],
    ['https://app.example:8443', 'app.example'],
    ['https://app.example', 'app.example:80'],
    ['capacitor://app.example', 'app.example'],
    ['null', 'app.example']
  ]
  for (const [origin, host] of others) t.equal(await allowed(origin, undefined, host), false, `${origin} at ${host}`)
})

t.test('what is no origin is nobody’s', async (t) => {
  const none = [
    '',
    'null',
    'app.example',
    'https://app.example/',
    'https://app.example/path',
    'https://user@app.example',
    'https://app.example#x',
    'https://app.example, https://app.example',
    'file://',
    'data:text/html,x',
    'javascript:alert(1)'
  ]
  for (const origin of none) {
    t.equal(await allowed(origin, [/.*/, () => true, origin]), false, origin)
    t.equal(await allowed(origin, ['*']), true, `${origin}: but for a list that lets everybody in`)
  }
})

t.test('by a list: one matcher is enough, compared with what a browser writes', async (t) => {
  const list = ['https://app.example', /^https:\/\/[a-z]+\.app\.example$/]
  for (const origin of [
    'https://app.example',
    'https://APP.example',
    'https://app.example:443',
    'https://a.app.example'
  ]) {
    t.equal(await allowed(origin, list, 'elsewhere'), true, origin)
  }
  for (const origin of [
    'http://app.example',
    'https://app.example:8443',
    'https://evil.example',
    'https://evil.app.example.com'
  ]) {
    t.equal(await allowed(origin, list, 'evil.example'), false, origin)
  }
  t.equal(await allowed('https://app.example', [], 'app.example'), false, 'an empty list lets nobody in')
  t.equal(await allowed('capacitor://localhost', ['capacitor://localhost']), true, 'an application in a web view')
})

t.test('by a function, which is told of the request, and must say true', async (t) => {
  const told: unknown[] = []
  const matcher: OriginMatcher = async (origin, request) => {
    told.push([origin, request.ip])
    return origin.endsWith('.example')
  }
  t.equal(await allowed('https://app.example', [matcher]), true)
  t.equal(await allowed('https://app.invalid', [matcher]), false)
  t.same(told, [
    ['https://app.example', '10.0.0.1'],
    ['https://app.invalid', '10.0.0.1']
  ])
  t.equal(await allowed('https://app.example', [(() => 'yes') as never]), false)
  t.equal(await allowed('https://app.example', [() => false, () => true]), true)
})

t.test('a long list is gone through once, in its order, with promises between', async (t) => {
  const asked: number[] = []
  const matchers: OriginMatcher[] = Array.from({ length: 20_000 }, (_, at) => `https://customer-${at}.example`)
  for (const at of [10, 15_000]) {
    matchers[at] = async () => {
      asked.push(at)
      return false
    }
  }
  t.equal(await allowed('https://evil.example', matchers), false)
  t.same(asked, [10, 15_000])
  t.equal(await allowed('https://customer-19999.example', matchers), true)
  asked.length = 0
  t.equal(await allowed('https://customer-9.example', matchers), true)
  t.same(asked, [], 'the rest is not asked')
})

t.test('case 172: the scheme counts if the server knows it', async (t) => {
  const encrypted = { encrypted: true }
  const proxied = (protocol: string, forwarded = protocol) => ({
    headers: { 'x-forwarded-proto': forwarded },
    ips: ['10.0.0.1', '10.0.0.2'],
    protocol
  })
  const cases: [title: string, request: object, origin: 'http' | 'https', allowed: boolean][] = [
    ['TLS', { socket: encrypted, protocol: 'https' }, 'https', true],
    ['TLS', { socket: encrypted, protocol: 'https' }, 'http', false],
    ['no TLS, perhaps a proxy', { protocol: 'http' }, 'https', true],
    ['no TLS, perhaps a proxy', { protocol: 'http' }, 'http', true],
    ['a proxy without trustProxy', { protocol: 'http', headers: { 'x-forwarded-proto': 'http' } }, 'https', true],
    ['a trusted proxy', proxied('https'), 'https', true],
    ['a trusted proxy', proxied('https'), 'http', false],
    ['a trusted proxy', proxied('http'), 'https', false],
    ['a trusted proxy', proxied('http'), 'http', true],
    ['one that writes wss', proxied('wss'), 'https', true],
    ['one that writes wss', proxied('wss'), 'http', false],
    ['one that writes WS', proxied('WS'), 'https', false],
    ['two proxies', proxied('https', 'http, https'), 'http', false],
    ['a peer that is not trusted', proxied('http', 'https'), 'https', true],
    ['no header', { ips: ['10.0.0.1'], protocol: 'http' }, 'https', true],
    ['a scheme of its own', proxied('gopher'), 'https', true],
    ['no socket', {}, 'https', true]
  ]
  for (const [title, request, scheme, isAllowed] of cases) {
    const fault = await faultOf(`${scheme}://app.example`, undefined, { host: 'app.example', ...request })
    t.equal(fault === undefined, isAllowed, `${title}: ${scheme}`)
  }
})

t.test('case 172: the reason holds what was compared, bounded', async (t) => {
  const own = async (origin: string, host: string) =>
    (await faultOf(origin, undefined, { host, protocol: 'https' }))?.details
  t.strictSame(await own('https://evil.example', 'App.example:443'), {
    origin: 'https://evil.example',
    host: 'app.example',
    scheme: 'https'
  })
  for (const [origin, host] of [
    ['http://localhost:5173', 'localhost:3000'],
    ['http://127.0.0.1:5173', 'localhost:3000'],
    ['https://app.localhost', '[::1]:3000']
  ] as const) {
    t.match((await own(origin, host))?.hint, /origins, or have its proxy keep the Host header/, origin)
  }
  t.notOk((await own('http://localhost:5173', 'app.example'))?.hint)
  t.notOk((await own('https://app.example', 'localhost:3000'))?.hint)
  const long = await own(`https://${'a'.repeat(5_000)}.example`, 'b'.repeat(5_000))
  t.ok(JSON.stringify(long).length < 600)
  const evil = await faultOf('https://evil.example', ['https://app.example'], { host: 'app.example' })
  t.equal(evil?.message, 'none of origins matches')
  t.same(evil?.details, { origin: 'https://evil.example' })
  const ownPage = await faultOf('http://localhost:3000', ['http://localhost:5173'], { host: 'localhost:3000' })
  t.match(ownPage?.details, { origin: 'http://localhost:3000', hint: /replaces .* own host: name this origin too/ })
  t.match(await faultOf('eyJhbGciOiJIUzI1NiJ9.e30.c2ln', undefined, {}), {
    message: 'the Origin header holds no origin',
    details: {}
  })
})
