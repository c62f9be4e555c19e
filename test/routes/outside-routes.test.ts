import websocket from '@fastify/websocket'
import Fastify, { type FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import t, { type Test } from 'tap'
import realtime from '../../lib/index.ts'
import { disposeAll } from '../../lib/testing/index.ts'
import { atLeast, type LogLine } from '../support/app.ts'

/* The package in a scope of its own, with routes outside of it: as fastify-cli loads a plugin file without fp. */

const NOTHING = 'the scope of fastify-realtime declares nothing'
const alone = async (scope: FastifyInstance) => void (await scope.register(realtime, { auth: false }))
const raw = async (scope: FastifyInstance) => void scope.get('/raw', { websocket: true }, () => undefined)

function build(t: Test, ...plugins: ((scope: FastifyInstance) => Promise<void>)[]) {
  const logs: LogLine[] = []
  const stream = { write: (line: string) => void logs.push(JSON.parse(line)) }
  const root = Fastify({ logger: { level: 'info', stream } })
  t.teardown(async () => {
    await disposeAll(root)
    await root.close()
  })
  root.register(async (app) => {
    for (const plugin of plugins) app.register(plugin)
  })
  const warnings = () => atLeast(logs, 'warn').map(({ msg = '' }) => msg.slice(0, NOTHING.length))
  return { root, warnings }
}

t.test('case 166: a WebSocket route beside a plugin without fp fails the boot, and says what to do', async (t) => {
  for (const plugin of [
    raw,
    async (scope: FastifyInstance) =>
      void scope.route({ method: 'GET', url: '/raw', handler: () => 'plain', wsHandler: () => undefined } as never)
  ]) {
    const { root } = build(t, alone, plugin)
    await t.rejects(async () => root.ready(), {
      code: 'FST_RT_INVALID_ROUTE',
      message:
        /^Route \/raw: it is outside of the scope that registered fastify-realtime.* wrap that plugin in fastify-plugin/
    })
  }
})

t.test('case 166: nor is it an error with fp, for plain routes, or beside another @fastify/websocket', async (t) => {
  const plain = async (scope: FastifyInstance) => void scope.get('/plain', () => 'plain')
  const wrapped = build(t, fp(alone), raw, plain)
  await wrapped.root.ready()
  t.same(wrapped.warnings(), [])

  const own = async (scope: FastifyInstance) => {
    await scope.register(websocket)
    await raw(scope)
  }
  const beside = build(t, own, alone, plain)
  await beside.root.ready()
  t.equal((await beside.root.inject('/plain')).body, 'plain')
})

t.test('case 166: a scope that declares nothing is worth a warning', async (t) => {
  const empty = build(t, alone)
  await empty.root.ready()
  t.same(empty.warnings(), [NOTHING])

  const channel = build(t, async (scope) => {
    await alone(scope)
    scope.channel('news', { onSubscribe: true })
  })
  await channel.root.ready()
  t.same(channel.warnings(), [])

  // On the root instance nothing is outside: an application may only publish.
  const logs: LogLine[] = []
  const stream = { write: (line: string) => void logs.push(JSON.parse(line)) }
  const root = Fastify({ logger: { level: 'info', stream } })
  t.teardown(() => root.close())
  await root.register(realtime, { auth: false })
  await root.ready()
  t.same(atLeast(logs, 'warn'), [])
})
