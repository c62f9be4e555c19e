import Fastify from 'fastify'
import t from 'tap'
import realtime from '../../lib/index.ts'
import { GuardedLog } from '../../lib/input/guarded-log.ts'
import { connect, disposeAll } from '../../lib/testing/index.ts'
import type { LogLine } from '../support/app.ts'

t.test('a line is what it was, at every level', async (t) => {
  const lines: unknown[] = []
  const write = (level: string) => (members: object, message: string) => void lines.push([level, members, message])
  const levels = ['error', 'warn', 'info', 'debug'] as const
  const log = new GuardedLog(Object.fromEntries(levels.map((level) => [level, write(level)])) as never)
  for (const level of levels) log[level]({ level }, 'text')
  t.same(
    lines,
    levels.map((level) => [level, { level }, 'text'])
  )
})

t.test('a logger that can write nothing is no error of the caller’s', async (t) => {
  let tries = 0
  const fail = () => {
    tries++
    throw new Error('disk full')
  }
  new GuardedLog({ error: fail } as never).error({ err: 1 }, 'text')
  t.equal(tries, 2)
})

t.test('a serializer that throws takes no process down, and the line is there', async (t) => {
  // It threw in the catch block that saw to the handler's error, and the process ended with an unhandled rejection.
  const logs: LogLine[] = []
  const stream = { write: (line: string) => void logs.push(JSON.parse(line)) }
  const err = () => {
    throw new Error('the serializer’s own')
  }
  const app = Fastify({ logger: { level: 'info', stream, serializers: { err } } })
  t.teardown(async () => {
    await disposeAll(app)
    await app.close()
  })
  await app.register(realtime, { auth: false })
  app.ws('/async', async () => {
    throw new Error('a handler’s')
  })
  app.ws('/sync', () => {
    throw new Error('a handler’s')
  })
  app.get('/raw', { websocket: true }, async () => {
    throw new Error('a handler’s')
  })
  app.ws('/listener', (socket) => {
    socket.on('message', () => {
      throw new Error('a listener’s')
    })
  })
  for (const path of ['/async', '/sync', '/raw', '/listener']) {
    const client = await connect(app, path)
    if (path === '/listener') client.send(1)
    t.match(await client.closed(), { code: 1011 }, path)
  }
  const failed = logs.filter(({ level }) => level === 50)
  t.same(
    failed.map(({ msg, incomplete }) => [msg, incomplete]),
    [...Array(3).fill(['socket handler failed', true]), ['socket listener failed', true]]
  )
})
