import { randomBytes } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import { type Test, test } from 'tap'
import { buildApp } from '../../demo/app.ts'
import { readSettings } from '../../demo/settings.ts'
import { connect, disposeAll, testToken } from '../../lib/testing/index.ts'
import { atLeast, holdsNoToken, type LogLine } from '../support/app.ts'

const secret = 'the secret of the demo under test'

async function build(t: Test, env: Record<string, string> = {}): Promise<{ app: FastifyInstance; logs: LogLine[] }> {
  const logs: LogLine[] = []
  const stream = { write: (line: string) => void logs.push(JSON.parse(line)) }
  const app = await buildApp(readSettings({ JWT_SECRET: secret, ...env }), { level: 'trace', stream })
  t.teardown(async () => {
    await disposeAll(app)
    await app.close()
    // A teardown is too late for an assertion, and may throw.
    const [first] = atLeast(logs, 'error')
    if (first !== undefined) throw new Error(`logged at level error: ${JSON.stringify(first)}`)
  })
  return { app, logs }
}

const tokenOf = (app: FastifyInstance, user: unknown) =>
  app.inject({ method: 'POST', url: '/api/token', payload: { user } })

const statusOf = (refused: Promise<unknown>) =>
  refused.then(
    () => 101,
    ({ statusCode }) => statusCode
  )

test('POST /api/token gives a token to whoever has a name', async (t) => {
  const { app } = await build(t)
  const response = await tokenOf(app, 'ada')
  t.equal(response.statusCode, 200)
  t.equal(response.headers['cache-control'], 'no-store')
  const { sub, exp, iat } = app.jwt.verify(response.json().token) as Record<string, number>
  t.same([sub, (exp as number) - (iat as number)], ['ada', 3600])
  for (const user of ['', 'x'.repeat(65), 5, null, undefined, {}]) {
    t.equal((await tokenOf(app, user)).statusCode, 400, `${user}`)
  }
  t.equal((await tokenOf(app, 'x'.repeat(64))).statusCode, 200)
  const broken = await app.inject({
    method: 'POST',
    url: '/api/token',
    headers: { 'content-type': 'application/json' },
    body: '{'
  })
  t.equal(broken.statusCode, 400)
})

test('POST /api/token is limited', async (t) => {
  const { app } = await build(t)
  const { headers } = await tokenOf(app, 'ada')
  t.match(headers, { 'x-ratelimit-limit': '1000', 'x-ratelimit-remaining': '999' })
})

test('/ws/echo gives back what came, as it came', async (t) => {
  const { app } = await build(t)
  const socket = await connect(app, '/ws/echo', { timeout: 20_000 })
  socket.sendRaw('text')
  t.equal(await socket.next(), 'text')
  const bytes = randomBytes(300)
  socket.sendRaw(bytes)
  const small = await socket.nextRaw()
  t.ok(small.isBinary)
  t.ok(bytes.equals(small.data))
  const large = 'ä'.repeat(8 * 1024 * 1024)
  socket.sendRaw(large)
  const echoed = await socket.nextRaw()
  t.notOk(echoed.isBinary)
  t.ok(echoed.data.toString() === large, '16 MiB')
  socket.sendRaw(Buffer.alloc(16 * 1024 * 1024 + 1))
  t.equal((await socket.closed()).code, 1009)
})

test('/ws/echo takes messages in pieces, and many', async (t) => {
  const { app } = await build(t)
  const socket = await connect(app, '/ws/echo', { timeout: 20_000 })
  const pieces = 100_000
  for (let i = 0; i < pieces; i++) socket.raw.send('x', { fin: i === pieces - 1 })
  t.equal((await socket.nextRaw()).data.length, pieces)
  for (let i = 0; i < 1000; i++) socket.sendRaw(`${i}`)
  for (let i = 0; i < 1000; i++) {
    const { data } = await socket.nextRaw()
    if (data.toString() !== `${i}`) t.fail(`message ${i} is ${data}`)
  }
})

test('/ws/json wants a token and messages that match, and echoes them', async (t) => {
  const { app, logs } = await build(t)
  t.equal(await statusOf(connect(app, '/ws/json')), 401)
  const { token } = (await tokenOf(app, 'ada')).json()
  const socket = await connect(app, '/ws/json', { token })
  t.equal(socket.protocol, 'realtime.v1')
  socket.send({ text: 'hello' })
  t.same(await socket.next(), { echo: { text: 'hello' } })
  for (const bad of [{ text: 5 }, { text: 'x'.repeat(1001) }, {}, [], 'text', null]) {
    socket.send(bad)
    t.match(await socket.next(), { error: { code: 'invalid_message' } }, JSON.stringify(bad).slice(0, 20))
  }
  socket.sendRaw('{')
  t.match(await socket.next(), { error: { code: 'invalid_json' } })
  socket.sendRaw(Buffer.from('{}'))
  t.match(await socket.next(), { error: { code: 'unsupported_data' } })
  socket.send({ text: 'x'.repeat(1000) })
  t.same(await socket.next(), { echo: { text: 'x'.repeat(1000) } })
  holdsNoToken(t, token, logs)
})

test('a board: strokes from its sockets and from HTTP reach all who look at it', async (t) => {
  const { app, logs } = await build(t)
  const token = testToken({ sub: 'ada' }, { secret })
  const [ada, grace, elsewhere] = await Promise.all([
    connect(app, '/ws/boards/one', { token }),
    connect(app, '/ws/boards/one', { token: testToken({ sub: 'grace' }, { secret }) }),
    connect(app, '/ws/boards/two', { token })
  ])
  const stroke = { id: 's1', colour: 'red', width: 5, points: [0, 0, 0.5, 0.25] }
  ada.send({ ...stroke, user: 'somebody else' })
  const publication = { channel: 'boards/one', data: { ...stroke, user: 'ada' } }
  t.match(await ada.next(), publication)
  t.match(await grace.next(), publication, 'the user is who sent it')

  const post = (headers: Record<string, string>, payload: object, board = 'one') =>
    app.inject({ method: 'POST', url: `/api/boards/${board}/strokes`, headers, payload })
  const posted = await post({ authorization: `Bearer ${token}` }, { colour: '#336699', points: [1, 1] })
  t.match(posted.json(), { offset: Number, epoch: String })
  t.match(await grace.next(), { channel: 'boards/one', data: { colour: '#336699', points: [1, 1], user: 'ada' } })

  for (const bad of [{ colour: 'red' }, { colour: 'red', points: [1] }, { points: [1, 2] }]) {
    grace.send(bad)
    t.match(await grace.next(), { error: { code: 'invalid_message' } })
    t.equal((await post({ authorization: `Bearer ${token}` }, bad)).statusCode, 400)
  }
  const wrong = testToken({ sub: 'ada' }, { secret: 'another' })
  const nobody = testToken({ sub: { a: 1 } }, { secret })
  for (const authorization of [undefined, 'Bearer', `Bearer ${wrong}`, `Bearer ${nobody}`, 'Bearer a.b.c']) {
    t.equal((await post(authorization ? { authorization } : {}, stroke)).statusCode, 401, `${authorization}`)
  }
  t.equal((await post({ authorization: `Bearer ${token}` }, stroke, 'a%20b')).statusCode, 400)
  t.equal(await statusOf(connect(app, '/ws/boards/a%20b', { token })), 400)
  t.equal(await statusOf(connect(app, '/ws/boards/one')), 401)
  await elsewhere.expectNothing()
  holdsNoToken(t, token, logs)
})

test('/health, /ready and /metrics', async (t) => {
  const { app } = await build(t)
  await connect(app, '/ws/echo')
  const health = await app.inject('/health')
  t.equal(health.statusCode, 200)
  const ready = await app.inject('/ready')
  t.same([ready.statusCode, ready.json()], [200, { ready: true, draining: false }])
  const metrics = await app.inject('/metrics')
  t.match(metrics.headers['content-type'], /^text\/plain; version=0\.0\.4/)
  t.match(metrics.body, /^process_cpu_seconds_total /m)
  t.match(metrics.body, /^realtime_connections\S* 1$/m)
})

test('half a request is not waited for', async (t) => {
  const { app } = await build(t)
  const { headersTimeout, requestTimeout } = app.server as { headersTimeout: number; requestTimeout: number }
  t.same([headersTimeout, requestTimeout], [15_000, 30_000])
})

test('the page and what it loads, all from here, under a strict policy', async (t) => {
  const { app } = await build(t)
  const { body, headers, statusCode } = await app.inject('/')
  t.equal(statusCode, 200)
  t.match(headers['content-security-policy'], "default-src 'self'")
  t.match(headers, { 'x-content-type-options': 'nosniff', 'cache-control': 'no-cache' })
  t.notMatch(body, /<script(?![^>]* src=)|<style| style=| on[a-z]+=/, 'nothing inline')
  t.notMatch(body, /(src|href)="(https?:)?\/\//, 'nothing from elsewhere')
  const seen = new Set<string>()
  const load = async (path: string): Promise<void> => {
    if (seen.has(path)) return
    seen.add(path)
    const response = await app.inject(path)
    // Without a slash at its end, this address leads to the one that has it.
    t.equal(response.statusCode, path === '/dashboard' ? 302 : 200, path)
    for (const [, next] of response.body.matchAll(/(?:src=|href=|from )['"](\.?\/[^'"]+)['"]/g))
      await load(new URL(next as string, `http://here${path}`).pathname)
  }
  await load('/')
  for (const path of ['/icon.svg', '/modules/whiteboard.css', '/modules/whiteboard.js']) {
    t.ok(seen.has(path), path)
  }
  t.equal((await app.inject('/nothing')).statusCode, 404)
  t.equal((await app.inject('/../settings.ts')).statusCode, 404)
})
