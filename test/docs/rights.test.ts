import { join } from 'node:path'
import process from 'node:process'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { connect, disposeAll, testSecret, testToken } from '../../lib/testing/index.ts'
import { buildApp } from '../support/app.ts'
import { Speaker } from '../support/speaker.ts'
import { type Example, examples, pages, root } from './pages.ts'

/*
 * Case 120: the examples of the docs that have users and channels, as they are printed, and a client of the user
 * mallory, who is a member of nothing. What belongs to others reaches her by no command, and she changes nothing of it.
 */

process.env.PORT = '0'
process.env.JWT_SECRET = testSecret
delete process.env.REDIS_URL

/** Runs an example; `name` is what it exports, or its variable. */
async function run<Exported>(t: Test, { source }: Example, name: string): Promise<Exported> {
  const local = source
    .replace(/'fastify-realtime'/g, `'${join(root, 'lib/index.ts')}'`)
    .replace('logger: true', 'logger: false')
  const isExported = local.includes(`export async function ${name}`)
  const folder = t.testdir({ 'example.ts': isExported ? local : `${local}\nexport { ${name} }\n` })
  return ((await import(join(folder, 'example.ts'))) as Record<string, Exported>)[name] as Exported
}

/** The example of a page that holds this text. */
function exampleWith(page: string, text: string): Example {
  return examples(page, ['ts']).find(({ source }) => source.includes(text)) as Example
}

const tokenOf = (sub: string) => testToken({ sub })

/** Whatever a client of the channel protocol may ask is refused for these channels, and nothing of them reaches it. */
async function isClosedTo(t: Test, app: FastifyInstance, user: string, channels: readonly string[]): Promise<void> {
  for (const channel of channels) await app.realtime.publish(channel, { points: ['private'] })
  const client = await Speaker.open(app, { token: tokenOf(user) })
  for (const channel of channels) {
    const data = { points: [user] }
    for (const request of [
      { subscribe: { channel } },
      { subscribe: { channel, recover: true, positioned: true, recoverable: true, join_leave: true } },
      { history: { channel, limit: -1 } },
      { presence: { channel } },
      { presence_stats: { channel } },
      { publish: { channel, data } },
      { sub_refresh: { channel, token: tokenOf(user) } }
    ]) {
      t.ok((await client.call(request)).error, JSON.stringify(request))
    }
    await app.realtime.publish(channel, { points: ['live'] })
  }
  t.same(await client.call({ ping: {} }), { ping: {} }, 'and nothing came before this')
  for (const channel of channels) {
    const { publications } = await app.realtime.history(channel)
    t.notMatch(JSON.stringify(publications), user, 'nothing was written')
  }
}

/** A connection to one of these paths is closed, with nothing sent before. */
async function isShutTo(t: Test, app: FastifyInstance, user: string, paths: Record<string, number>): Promise<void> {
  for (const [path, code] of Object.entries(paths)) {
    const socket = await connect(app, path, { token: tokenOf(user) })
    t.match(await socket.closed(), { code }, path)
    await t.rejects(socket.next(), 'nothing was sent')
  }
}

function closing(t: Test, app: FastifyInstance): void {
  t.teardown(async () => {
    await disposeAll(app)
    await app.close()
  })
}

t.test('case 120, case 124: the README’s example', async (t) => {
  const app = await run<FastifyInstance>(t, exampleWith('README.md', 'await app.listen'), 'app')
  closing(t, app)
  const ada = await connect(app, '/boards/1', { token: tokenOf('ada') })
  await isShutTo(t, app, 'mallory', { '/boards/1': 4403, '/boards/1%2Fstaff': 4403, '/boards/__proto__': 4403 })
  await isClosedTo(t, app, 'mallory', ['boards/1', 'boards/7/staff'])
  const stroke = { points: [1], colour: 'red' }
  ada.send(stroke)
  let last: { data?: unknown } = {}
  const seen: unknown[] = []
  while (JSON.stringify(last.data) !== JSON.stringify(stroke)) {
    last = (await ada.next()) as { data?: unknown }
    seen.push(last.data)
  }
  t.notMatch(JSON.stringify(seen), 'mallory')
})

t.test('case 120: the channels of docs/channels.md', async (t) => {
  const app = await run<FastifyInstance>(t, exampleWith('docs/channels.md', 'onConnect'), 'app')
  closing(t, app)
  await isClosedTo(t, app, 'mallory', ['users/bob', 'boards/1', 'boards/private', 'users/bob/notes'])
  const mallory = await Speaker.open(app, { token: tokenOf('mallory') })
  t.match(await mallory.call({ rpc: { method: 'boards.clear', data: '1' } }), { error: { code: 103 } })
  for (const sub of ['mallory/../bob', 'bob/notes']) {
    const odd = await Speaker.open(app, { token: tokenOf(sub), connect: false })
    t.match(await odd.call({ connect: {} }), { error: {} }, 'a user whose name makes no channel')
  }
  const ada = await Speaker.open(app, { token: tokenOf('ada') })
  t.match(await ada.call({ subscribe: { channel: 'boards/1' } }), { subscribe: { recoverable: true } })
})

t.test('case 120: no example has a secret that everybody can read', async (t) => {
  for (const page of pages()) {
    for (const { source, place } of examples(page, ['ts', 'js']))
      t.notMatch(source, /(SECRET|KEY)\w* \?\? ['"`]/, place)
  }
})

t.test('case 120: a session’s id from before the login is nobody’s after it', async (t) => {
  const app = await run<FastifyInstance>(t, exampleWith('docs/cookies-and-sessions.md', 'request.session'), 'app')
  closing(t, app)
  const login = (cookie?: string) => app.inject({ method: 'POST', url: '/login', headers: cookie ? { cookie } : {} })
  const cookieOf = ({ headers }: { headers: Record<string, unknown> }) =>
    String(headers['set-cookie']).split(';')[0] as string
  // What an attacker plants: an id that the server has signed, of a session that it knows.
  const before = cookieOf(await login())
  const after = cookieOf(await login(before))
  t.not(after, before)
  const refused = connect(app, '/live', { headers: { cookie: before } }).catch(({ statusCode }) => statusCode)
  t.equal(await refused, 401)
  t.ok(await connect(app, '/live', { headers: { cookie: after } }))
})

t.test('case 120: what the functions of the docs add to an application', async (t) => {
  type Plugin = (app: FastifyInstance) => Promise<void>
  const { app } = await buildApp(t)
  const found = [
    ['docs/channels.md', 'names'],
    ['docs/channels.md', 'notes'],
    ['docs/client.md', 'rooms'],
    ['docs/sockets.md', 'chat'],
    ['docs/sockets.md', 'admin'],
    ['docs/sockets.md', 'reports']
  ] as const
  for (const [page, name] of found) {
    await t.test(name, async (t) => {
      const plugin = await run<Plugin>(t, exampleWith(page, `export async function ${name}`), name)
      await app.register(async (scope) => plugin(scope))
    })
  }
  await app.listen({ host: '127.0.0.1', port: 0 })
  await isClosedTo(t, app, 'mallory', ['chat/tea', 'reports', 'users/ada/notes', 'boards/7', 'boards/7/staff'])
  await isShutTo(t, app, 'mallory', { '/chat/tea': 4403, '/chat/tea%2Fx': 4403, '/rooms/tea%2Fx': 4400 })
  await t.rejects(connect(app, '/reports', { token: tokenOf('mallory') }))
  const post = (url: string, user?: string) =>
    app.inject({
      method: 'POST',
      url,
      payload: { by: user },
      headers: user ? { authorization: `Bearer ${tokenOf(user)}` } : {}
    })
  for (const user of [undefined, 'mallory']) {
    t.notOk((await post('/users/ada/logout', user)).statusCode === 200, 'nobody is logged out by others')
  }
  t.equal((await post('/notes')).statusCode, 401)
  t.equal((await post('/notes', 'mallory')).statusCode, 200)
  t.notMatch(JSON.stringify(await app.realtime.history('users/ada/notes')), 'mallory', 'her notes are her own')
  const [member] = await Promise.all([connect(app, '/chat/tea', { token: tokenOf('ada') })])
  member.send({ text: 'milk?' })
  t.match(await member.next(), { channel: 'chat/tea', data: { from: 'ada', message: { text: 'milk?' } } })
})
