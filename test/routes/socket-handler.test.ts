import t from 'tap'
import { ChannelError, forbidden } from '../../lib/index.ts'
import { connect } from '../../lib/testing/index.ts'
import { buildApp } from '../support/app.ts'

/* What handlers return and throw by mistake is in test/socket-routes.test.ts. */

const anonymous = { auth: false } as const

t.test('a handler that throws a ChannelError refuses its client, with the error’s message', async (t) => {
  const { app, logs } = await buildApp(t, anonymous, { jwt: false })
  const thrown: Record<string, [ChannelError, code: number, reason: string]> = {
    '/forbidden': [forbidden('not your board'), 4403, 'not your board'],
    '/plain': [forbidden(), 4403, 'permission denied'],
    '/own': [new ChannelError(460, 'archived'), 4403, 'archived'],
    '/unknown': [new ChannelError(102), 4403, 'unknown channel'],
    '/bad': [new ChannelError(107), 4400, 'bad request'],
    '/expired': [new ChannelError(109), 4401, 'token expired'],
    '/often': [new ChannelError(111), 4429, 'too many requests'],
    '/ends': [new ChannelError(4500, 'moved'), 4500, 'moved'],
    '/fault': [new ChannelError(100), 1011, 'internal error']
  }
  for (const [path, [error]] of Object.entries(thrown)) app.ws(path, async () => Promise.reject(error))
  for (const [path, [, code, reason]] of Object.entries(thrown)) {
    t.same(await (await connect(app, path)).closed(), { code, reason }, path)
  }
  const refused = logs.filter(({ msg }) => msg === 'socket handler refused its client')
  t.equal(refused.length, 8)
  t.match(refused[0], { level: 30, connection: /./, reqId: /./, err: { message: 'not your board' } })
  t.match(
    logs.filter(({ level }) => level >= 40),
    [{ level: 50, msg: 'socket handler failed' }],
    'only the fault is an error'
  )
})

t.test('a handler that subscribes its socket and returns is named once, for each route', async (t) => {
  const { app, logs } = await buildApp(t, anonymous, { jwt: false })
  app.ws('/returns', async (socket) => void (await socket.subscribe('news')))
  app.ws('/reads', async (socket) => {
    await socket.subscribe('news')
    for await (const _ of socket.messages()) return
  })
  app.ws('/waits', async (socket) => {
    await socket.subscribe('news')
    const ended = new Promise((resolve) => socket.signal.addEventListener('abort', resolve))
    socket.sendJson('waiting')
    await ended
  })
  for (let i = 0; i < 2; i++) {
    t.same(await (await connect(app, '/returns')).closed(), { code: 1000, reason: 'done' })
  }
  const reads = await connect(app, '/reads')
  reads.send(1)
  t.same(await reads.closed(), { code: 1000, reason: 'done' })
  const waits = await connect(app, '/waits')
  t.equal(await waits.next(), 'waiting')
  const closing = app.close()
  t.match(await waits.next(), { notice: { code: 'draining' } })
  t.match(await waits.closed(), { code: 1012 })
  await closing
  t.match(
    logs.filter(({ level }) => level === 40),
    [{ route: '/returns', msg: /async handler returned .* subscriptions/ }],
    'a loop that ends and a handler that ends in a drain mean to'
  )
})
