import { createSigner } from 'fast-jwt'
import type { FastifyInstance } from 'fastify'
import { type Test, test } from 'tap'
import { buildApp } from '../../demo/app.ts'
import { readSettings } from '../../demo/settings.ts'
import { connect, disposeAll, testToken } from '../../lib/testing/index.ts'

const secret = 'the secret of the demo to be broken'
const token = testToken({ sub: 'ada', admin: true }, { secret })
const ADMIN = { authorization: `Bearer ${token}` }

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

function post(app: FastifyInstance, payload: object, headers: Headers = ADMIN) {
  return app.inject({ method: 'POST', url: '/api/break', headers: defined(headers), payload })
}

function defined(headers: Headers): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).filter((entry): entry is [string, string] => entry[1] !== undefined)
  )
}

test('only a token with the claim admin may ask, wherever the request comes from', async (t) => {
  const app = await build(t, { HOST: '0.0.0.0' })
  t.equal((await get(app, ADMIN)).statusCode, 200)
  t.equal((await get(app, ADMIN, '192.0.2.7')).statusCode, 200)

  const bearer = (claims: Record<string, unknown>, key = secret) => ({
    authorization: `Bearer ${testToken(claims, { secret: key })}`
  })
  const refused: [number, string, Headers][] = [
    [401, 'no token', {}],
    [401, 'a token of somebody else’s', bearer({ sub: 'ada', admin: true }, 'another')],
    [401, 'a token of nobody', bearer({ sub: '', admin: true })],
    [403, 'a token without the claim', bearer({ sub: 'ada' })],
    [403, 'a claim of another type', bearer({ sub: 'ada', admin: 'true' })]
  ]
  for (const [status, why, headers] of refused) {
    for (const address of ['127.0.0.1', '192.0.2.7']) {
      const { statusCode, body } = await get(app, headers, address)
      t.equal(statusCode, status, why)
      t.notMatch(body, /eyJ/, 'no token is in the answer')
    }
    const cut = await app.inject({
      method: 'POST',
      url: '/api/break',
      headers: defined(headers),
      payload: { action: 'cut' }
    })
    t.equal(cut.statusCode, status, why)
  }
  const other = createSigner({ key: secret, algorithm: 'HS512' })({ sub: 'ada', admin: true, exp: 4_102_444_800 })
  t.equal((await get(app, { authorization: `Bearer ${other}` })).statusCode, 401, 'HS256 and no other algorithm')
  // What a form of another site can send without asking first.
  for (const [type, status] of [
    ['text/plain', 400],
    ['application/x-www-form-urlencoded', 415]
  ] as const) {
    const headers = { ...defined(ADMIN), 'content-type': type }
    const { statusCode } = await app.inject({ method: 'POST', url: '/api/break', headers, payload: '{"action":"cut"}' })
    t.equal(statusCode, status, type)
  }
})

test('a process alone can cut connections, and says why nothing else', async (t) => {
  const app = await build(t)
  const state = (await get(app, ADMIN)).json()
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
