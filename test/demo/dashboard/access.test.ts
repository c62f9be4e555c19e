import type { Centrifuge } from 'centrifuge'
import type { FastifyInstance } from 'fastify'
import { type Test, test } from 'tap'
import { buildApp } from '../../../demo/app.ts'
import { CONNECTIONS, NODES } from '../../../demo/dashboard/broadcast.ts'
import { readSettings } from '../../../demo/settings.ts'
import { connect, disposeAll, testToken } from '../../../lib/testing/index.ts'
import { atLeast, holdsNoToken, type LogLine } from '../../support/app.ts'
import { centrifuge, endpointOf, next } from '../../support/centrifuge.ts'

/** Clients may not publish to them, which is reported once for each: the application could have forgotten the hook. */
const HOOKS_MISSING = [NODES, CONNECTIONS].map((pattern) => ['channel hook missing', pattern])

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

test('the claim admin is given for the key that the demo prints, wherever the request comes from', async (t) => {
  const { app, logs } = await build(t, { HOST: '0.0.0.0', ADMIN_KEY: 'the-key-of-an-administrator' })
  const ask = (payload: object, remoteAddress = '192.0.2.1') =>
    app.inject({ method: 'POST', url: '/api/token', payload, remoteAddress })
  const claims = async (asked: ReturnType<typeof ask>) => {
    const { sub, admin } = app.jwt.decode((await asked).json().token) as Record<string, unknown>
    return { sub, admin }
  }
  t.same(await claims(ask({ user: 'ada' })), { sub: 'ada', admin: undefined })
  t.same(await claims(ask({ user: 'ada', admin: true })), { sub: 'ada', admin: undefined }, 'a claim is not asked for')
  t.same(await claims(ask({ user: 'ada', key: 'the-key-of-an-administrator' })), { sub: 'ada', admin: true })

  for (const address of ['192.0.2.1', '127.0.0.1']) {
    const refused = await ask({ user: 'ada', key: 'the-key-of-somebody-else---' }, address)
    t.match([refused.statusCode, refused.json().code], [403, 'WRONG_ADMIN_KEY'], address)
  }
  for (const key of ['', 'x'.repeat(129), 5, {}]) t.equal((await ask({ user: 'ada', key })).statusCode, 400)
  t.notMatch(JSON.stringify(logs), 'the-key-of', 'no key is in the log')
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
  t.same(
    atLeast(logs, 'warn').map(({ msg, pattern }) => [msg, pattern]),
    HOOKS_MISSING
  )
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
  t.same(
    atLeast(logs, 'warn').map(({ msg, pattern }) => [msg, pattern]),
    HOOKS_MISSING
  )
  holdsNoToken(t, token, logs)
})
