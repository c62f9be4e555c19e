import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import jwt from '@fastify/jwt'
import Fastify, { type FastifyInstance } from 'fastify'
import { Registry } from 'prom-client'
import t, { type Test } from 'tap'
import realtime from '../../lib/index.ts'
import { disposeAll, type TestSocket, testSecret, testToken } from '../../lib/testing/index.ts'
import { freshPrefix } from '../broker/redis/bench.ts'
import { root } from '../docs/pages.ts'
import { connect } from '../support/connect.ts'
import { RedisServer } from '../support/redis-server.ts'

/*
 * A deploy of a newer version: processes of both versions share one Redis. The newer version is a copy of the sources
 * with a changed envelope, since no second version of the envelope exists yet. docs/versions.md promises what is tested.
 */

type Change = readonly [file: string, from: string, to: string]

const LUA = 'broker/lua/publish.lua'
const ENVELOPE = 'broker/redis/envelope.ts'
/** A part that older versions may ignore: a field in the message, and one in the stream. */
const NEW_FIELD: readonly Change[] = [
  [LUA, "if except ~= '' then fields =", "fields = fields .. ',z3'\n  if except ~= '' then fields ="],
  [LUA, ".. ':' .. info", ".. ':' .. 'tag' .. info"],
  [LUA, 'local more = {}', "local more = { 'i', info, 'x', except, 't', tags, 'b', binary, 'z', 'tag' }"]
]
/** A new version, which older versions drop. It still reads the version before. */
const NEW_VERSION: readonly Change[] = [
  [LUA, "'1p' or '2p'", "'3p' or '2p'"],
  [ENVELOPE, "const VERSION = '1'", "const VERSION = '3'"],
  [ENVELOPE, '^([12])p', '^([123])p'],
  [ENVELOPE, '{VERSION}([jlr])', "{'[13]'}([jlr])"]
]

const server = await RedisServer.start(t)

async function newerVersion(t: Test, changes: readonly Change[]): Promise<typeof realtime> {
  const folder = join(t.testdir({}), 'lib')
  cpSync(join(root, 'lib'), folder, { recursive: true })
  for (const [name, from, to] of changes) {
    const file = join(folder, name)
    const source = readFileSync(file, 'utf8')
    if (source.split(from).length !== 2) throw new Error(`${name} does not have once: ${from}`)
    writeFileSync(
      file,
      source.replace(from, () => to)
    )
  }
  return (await import(join(folder, 'index.ts'))).default
}

async function start(t: Test, plugin: typeof realtime, prefix: string, metrics?: Registry) {
  const app = Fastify()
  t.teardown(async () => {
    await disposeAll(app)
    await app.close()
  })
  await app.register(jwt, { secret: testSecret })
  await app.register(plugin, { redis: server.url, prefix, drain: { window: 0 }, ...(metrics && { metrics }) })
  app.channel('kept', { history: { size: 100, ttl: 60_000 } })
  app.ws('/live', async (socket) => {
    for (const channel of ['kept', 'live']) await socket.subscribe(channel)
    socket.sendJson('ready')
    for await (const _ of socket.messages());
  })
  await app.ready()
  return app
}

async function subscriber(t: Test, app: FastifyInstance): Promise<TestSocket> {
  const socket = await connect(app, '/live', { token: testToken() })
  t.equal(await socket.next(), 'ready')
  return socket
}

async function data(socket: TestSocket, count: number): Promise<unknown[]> {
  const found: unknown[] = []
  while (found.length < count) found.push(((await socket.next()) as { data: unknown }).data)
  return found
}

t.test('a new field reaches both versions', async (t) => {
  const prefix = freshPrefix()
  const older = await start(t, realtime, prefix)
  const newer = await start(t, await newerVersion(t, NEW_FIELD), prefix)
  const [ada, bob] = [await subscriber(t, older), await subscriber(t, newer)]
  for (const channel of ['kept', 'live']) {
    await older.realtime.publish(channel, `${channel} of the older`)
    await newer.realtime.publish(channel, `${channel} of the newer`)
    const expected = [`${channel} of the older`, `${channel} of the newer`]
    t.same(await data(ada, 2), expected)
    t.same(await data(bob, 2), expected)
  }
  const { publications } = await older.realtime.history('kept')
  t.same(
    publications.map(({ data }) => data),
    ['kept of the older', 'kept of the newer'],
    'the older version reads what the newer one has stored'
  )
})

t.test('a new version: the older one drops messages, and recovers them if there is history', async (t) => {
  const prefix = freshPrefix()
  const metrics = new Registry()
  const older = await start(t, realtime, prefix, metrics)
  const newer = await start(t, await newerVersion(t, NEW_VERSION), prefix)
  const [ada, bob] = [await subscriber(t, older), await subscriber(t, newer)]

  await older.realtime.publish('kept', 1)
  await newer.realtime.publish('kept', 2)
  await newer.realtime.publish('kept', 3)
  await older.realtime.publish('kept', 4)
  t.same(await data(bob, 4), [1, 2, 3, 4], 'the newer version reads both')
  t.same(await data(ada, 4), [1, 2, 3, 4], 'the older version reads from history what it could not read, in order')

  await newer.realtime.publish('live', 'lost')
  await older.realtime.publish('live', 'kept')
  t.same(await data(bob, 2), ['lost', 'kept'])
  t.same(await data(ada, 1), ['kept'], 'without history nothing of the newer version arrives')
  t.match(await metrics.metrics(), 'realtime_node_messages_dropped_total{kind="message"} 3\n')
})
