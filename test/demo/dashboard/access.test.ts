import type { Centrifuge } from 'centrifuge'
import type { FastifyInstance } from 'fastify'
import { type Test, test } from 'tap'
import { buildApp } from '../../../demo/app.ts'
import { CONNECTIONS, NODES } from '../../../demo/dashboard/broadcast.ts'
import { readSettings } from '../../../demo/settings.ts'
import { connect, disposeAll, testToken } from '../../../lib/testing/index.ts'
import { atLeast, holdsNoToken, type LogLine } from '../../support/app.ts'
import { centrifuge, endpointOf, next } from '../../support/centrifuge.ts'

const secret = 'the secret of the demo with a dashboard'
const QUERY = { order: 'age', descending: false, search: '' }

async function build(t: Test, env: Record<string, string> = {}): Promise<{ app: FastifyInstance; logs: LogLine[] }> {
  const logs: LogLine[] = []
  const stream = { write: (line: string) => void logs.push(JSON.parse(line)) }
  const app = await buildApp(readSettings({ JWT_SECRET: secret, ...env }), { level: 'trace', stream })
  t.teardown(async () => {
    await disposeAll(app)
    await app.close()
  })
  return { app, logs }
}

async function client(t: Test, app: FastifyInstance, claims: object): Promise<Centrifuge> {
  const made = centrifuge(t, await endpointOf(app), { token: testToken({ sub: 'ada', ...claims }, { secret }) })
  made.connect()
  await next(made, 'connected')
  return made
}

const codeOf = (refused: Promise<unknown>) =>
  refused.then(
    () => 0,
    ({ code }) => code
  )

test('the claim admin is given to the page on this machine only, and only where the demo listens there', async (t) => {
  const { app } = await build(t)
  const page = { origin: 'http://127.0.0.1:3000' }
  const ask = (payload: object, headers: Record<string, string> = page, remoteAddress = '127.0.0.1', to = app) =>
    to.inject({
      method: 'POST',
      url: '/api/token',
      payload,
      remoteAddress,
      headers: { host: '127.0.0.1:3000', ...headers }
    })
  const claims = async (asked: ReturnType<typeof ask>) => {
    const { sub, admin } = app.jwt.decode((await asked).json().token) as Record<string, unknown>
    return { sub, admin }
  }
  t.same(await claims(ask({ user: 'ada' }, {})), { sub: 'ada', admin: undefined }, 'as ever')
  t.same(await claims(ask({ user: 'ada', admin: false }, {})), { sub: 'ada', admin: undefined })
  t.same(await claims(ask({ user: 'ada', admin: true })), { sub: 'ada', admin: true })

  const wanted = { user: 'ada', admin: true }
  const refused = await ask(wanted, { origin: 'http://example.com' })
  t.match([refused.statusCode, refused.json().code], [403, 'ADMIN_NOT_FROM_HERE'])
  // Whoever came through a proxy on this machine was given it.
  const through = await ask(wanted, { 'x-forwarded-for': '203.0.113.9' })
  t.match([through.statusCode, through.json().message], [403, /not through a proxy$/])
  t.equal((await ask(wanted, { ...page, 'x-real-ip': '203.0.113.9' })).statusCode, 403)
  t.equal((await ask(wanted, {})).statusCode, 403, 'a tunnel adds no header, and has no page')
  t.equal((await ask(wanted, page, '192.0.2.1')).statusCode, 403)
  t.equal((await ask(wanted, { host: 'example.com', origin: 'http://example.com' })).statusCode, 403)
  t.equal((await ask({ user: 'ada', admin: 'yes' })).statusCode, 400)
  const anyone = { 'x-forwarded-for': '203.0.113.9', host: 'example.com' }
  t.equal((await ask({ user: 'ada' }, anyone, '192.0.2.1')).statusCode, 200, 'everybody gets the other')

  const open = await build(t, { HOST: '0.0.0.0' })
  t.equal((await ask(wanted, page, '127.0.0.1', open.app)).statusCode, 403)
  t.equal((await ask({ user: 'ada' }, page, '127.0.0.1', open.app)).statusCode, 200)
})

test('a token without the claim sees nothing of the dashboard, and ends no connection', async (t) => {
  const { app, logs } = await build(t)
  const victim = await connect(app, '/ws/json', { token: testToken({ sub: 'victim' }, { secret }) })
  const [{ id = '' } = {}] = app.realtime.connections()
  for (const claims of [{}, { admin: 'true' }, { admin: 1 }, { admin: { is: true } }]) {
    const plain = await client(t, app, claims)
    for (const channel of [NODES, CONNECTIONS]) {
      const subscription = plain.newSubscription(channel, { data: QUERY })
      subscription.subscribe()
      t.match(await next(subscription, 'unsubscribed'), { code: 103 }, channel)
      t.equal(await codeOf(plain.presence(channel)), 103)
      t.equal(await codeOf(plain.publish(channel, {})), 103)
    }
    t.equal(await codeOf(plain.history(NODES, { limit: 1 })), 103)
    t.equal(await codeOf(plain.rpc('dashboard.snapshot', {})), 103)
    t.equal(await codeOf(plain.rpc('dashboard.disconnect', { connection: id })), 103)
    plain.disconnect()
  }
  victim.send({ text: 'still here' })
  t.same(await victim.next(), { echo: { text: 'still here' } })
  t.same(atLeast(logs, 'warn'), [])
})

test('an administrator: the node and its connections, and an end to one of them', async (t) => {
  const { app, logs } = await build(t)
  const token = testToken({ sub: 'victim' }, { secret })
  const victim = await connect(app, '/ws/json', { token })
  const admin = await client(t, app, { admin: true })
  const { data } = await admin.rpc('dashboard.snapshot', { query: QUERY })
  t.match(data.snapshot, { name: 'server', connections: { '/ws/json': 1, '/connection/websocket': 1 }, last: false })
  t.match(data.table, { node: data.snapshot.node, total: 2, found: 2 })
  const row = data.table.rows.find(([, user]: string[]) => user === 'victim')
  t.match(row, [String, 'victim', '/ws/json'])
  t.equal((await admin.rpc('dashboard.snapshot', {})).data.table, undefined)

  for (const subscription of [admin.newSubscription(NODES), admin.newSubscription(CONNECTIONS, { data: QUERY })]) {
    subscription.subscribe()
    await next(subscription, 'subscribed')
    t.equal(await codeOf(subscription.publish({})), 103, 'not even an administrator may publish here')
  }
  t.equal(await codeOf(admin.rpc('dashboard.snapshot', { query: { order: 'rubbish' } })), 107)
  t.equal(await codeOf(admin.rpc('dashboard.disconnect', {})), 107)
  const rubbish = centrifuge(t, await endpointOf(app), { token: testToken({ sub: 'ada', admin: true }, { secret }) })
  const asked = rubbish.newSubscription(CONNECTIONS, { data: { order: 'rubbish' } })
  asked.subscribe()
  rubbish.connect()
  t.match(await next(asked, 'unsubscribed'), { code: 107 })

  await admin.rpc('dashboard.disconnect', { connection: row[0] })
  t.match(await victim.closed(), { code: 4403, reason: 'disconnected by an administrator' })
  await admin.rpc('dashboard.disconnect', { connection: 'nobody' })
  t.match(
    logs.find(({ msg }) => msg === 'disconnected from the dashboard'),
    { level: 30, connection: row[0], by: 'ada' }
  )
  t.same(atLeast(logs, 'warn'), [])
  holdsNoToken(t, token, logs)
})
