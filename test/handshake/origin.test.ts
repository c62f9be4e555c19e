import type { FastifyRequest } from 'fastify'
import t from 'tap'
import { isAllowedOrigin } from '../../lib/handshake/origin.ts'
import type { OriginMatcher } from '../../lib/options.ts'

/* Over a handshake: test/cases/b-origin.test.ts. */

function allowed(origin: string, matchers?: OriginMatcher[], host = 'app.example') {
  return isAllowedOrigin(origin, { host, ip: '10.0.0.1' } as FastifyRequest, matchers)
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
