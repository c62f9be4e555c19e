import type { FastifyInstance } from 'fastify'
import { type Test, test } from 'tap'
import { buildApp } from '../../demo/app.ts'
import { readSettings } from '../../demo/settings.ts'
import { connect, disposeAll, testToken } from '../../lib/testing/index.ts'

const secret = 'the secret of the demo to be broken'
const token = testToken({ sub: 'ada' }, { secret })
const PAGE = {
  host: '127.0.0.1:3000',
  origin: 'http://127.0.0.1:3000',
  'sec-fetch-site': 'same-origin',
  authorization: `Bearer ${token}`
}

async function build(t: Test, env: Record<string, string> = {}): Promise<FastifyInstance> {
  const app = await buildApp(readSettings({ JWT_SECRET: secret, ...env }), false)
  t.teardown(async () => {
    await disposeAll(app)
    await app.close()
  })
  return app
}

type Headers = Record<string, string | undefined>

function get(app: FastifyInstance, headers: Headers, remoteAddress = '127.0.0.1') {
  return app.inject({ url: '/api/break', headers: defined(headers), remoteAddress })
}

function post(app: FastifyInstance, payload: object, headers: Headers = PAGE) {
  return app.inject({ method: 'POST', url: '/api/break', headers: defined(headers), payload })
}

function defined(headers: Headers): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).filter((entry): entry is [string, string] => entry[1] !== undefined)
  )
}

test('only the page itself may ask, from this machine and with a token', async (t) => {
  const app = await build(t)
  t.equal((await get(app, PAGE)).statusCode, 200)
  t.equal((await get(app, { ...PAGE, origin: undefined })).statusCode, 200, 'a GET of one’s own has no Origin')
  t.equal(
    (await get(app, { ...PAGE, 'sec-fetch-site': undefined })).statusCode,
    200,
    'a browser that sends no metadata'
  )
  const local = { ...PAGE, host: 'localhost:3000', origin: 'http://localhost:3000' }
  t.equal((await get(app, local, '::1')).statusCode, 200)
  t.equal((await get(app, PAGE, '::ffff:127.0.0.1')).statusCode, 200)

  const refused: [string, Headers, string?][] = [
    ['another machine', PAGE, '192.0.2.7'],
    ['another machine, in IPv6', PAGE, '2001:db8::1'],
    ['a proxy', { ...PAGE, 'x-forwarded-for': '127.0.0.1' }],
    ['a proxy that tells of itself only', { ...PAGE, via: '1.1 proxy' }],
    ['a proxy by the standard', { ...PAGE, forwarded: 'for=127.0.0.1' }],
    ['a foreign name that leads here', { ...PAGE, host: 'evil.example:3000', origin: 'http://evil.example:3000' }],
    ['a foreign page', { ...PAGE, origin: 'http://evil.example' }],
    ['a page of another port', { ...PAGE, origin: 'http://127.0.0.1:4000' }],
    ['a sandboxed page', { ...PAGE, origin: 'null' }],
    ['a foreign page by its metadata', { ...PAGE, origin: undefined, 'sec-fetch-site': 'cross-site' }],
    ['a page of the same site', { ...PAGE, origin: undefined, 'sec-fetch-site': 'same-site' }],
    ['an address that was typed', { ...PAGE, origin: undefined, 'sec-fetch-site': 'none' }],
    ['no browser', { ...PAGE, origin: undefined, 'sec-fetch-site': undefined }],
    ['no token', { ...PAGE, authorization: undefined }],
    [
      'a token of somebody else’s',
      { ...PAGE, authorization: `Bearer ${testToken({ sub: 'ada' }, { secret: 'another' })}` }
    ],
    ['a token of nobody', { ...PAGE, authorization: `Bearer ${testToken({ sub: '' }, { secret })}` }]
  ]
  for (const [why, headers, address] of refused) {
    const { statusCode, body } = await get(app, headers, address)
    t.equal(statusCode, 403, why)
    t.notMatch(body, token.slice(-20), 'the token is not in the answer')
  }
  for (const type of ['text/plain', 'application/x-www-form-urlencoded', undefined]) {
    const request = { method: 'POST', url: '/api/break', headers: defined({ ...PAGE, 'content-type': type }) } as const
    t.equal((await app.inject({ ...request, payload: '{"action":"cut"}' })).statusCode, 403, `${type}`)
  }
})

test('beside loopback the demo can not be broken', async (t) => {
  const app = await build(t, { HOST: '0.0.0.0' })
  t.equal((await get(app, PAGE)).statusCode, 404)
  t.equal((await post(app, { action: 'cut' })).statusCode, 404)
})

test('a process alone can cut connections, and says why nothing else', async (t) => {
  const app = await build(t)
  const state = (await get(app, PAGE)).json()
  t.match(state, { workers: 0, running: null, refusals: { kill: /--workers 3/, redis: /--workers 3/, cut: null } })
  for (const action of ['restart', 'kill', 'redis']) {
    const { statusCode, body } = await post(app, { action })
    t.equal(statusCode, 409, action)
    t.match(body, '--workers 3')
  }
  for (const payload of [{}, { action: 'burn' }, { action: 'cut', connection: 5 }]) {
    t.equal((await post(app, payload)).statusCode, 400)
  }
})

test('a connection is cut without a close frame, and by its user only', async (t) => {
  const app = await build(t)
  const [own, other] = await Promise.all([
    connect(app, '/ws/json', { token }),
    connect(app, '/ws/json', { token: testToken({ sub: 'grace' }, { secret }) })
  ])
  const idOf = (user: string) => app.realtime.connections().find((connection) => connection.user === user)?.id
  for (const connection of [idOf('grace'), 'unknown', undefined]) {
    t.equal((await post(app, { action: 'cut', connection })).statusCode, 409)
  }
  t.equal((await post(app, { action: 'cut', connection: idOf('ada') })).statusCode, 202)
  t.match(await own.closed(), { code: 1006 })
  other.send({ text: 'still there' })
  t.same(await other.next(), { echo: { text: 'still there' } })
})
