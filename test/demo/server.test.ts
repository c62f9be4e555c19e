import { once } from 'node:events'
import { connect as connectTcp, type Socket } from 'node:net'
import { type Test, test } from 'tap'
import { WebSocket } from 'ws'
import { OPEN_AS_ADMINISTRATOR } from '../../demo/admin-key.ts'
import { atLeast, holdsNoToken } from '../support/app.ts'
import { DemoProcess } from '../support/demo.ts'
import { rawUpgrade } from '../support/raw-socket.ts'

async function connected(t: Test, demo: DemoProcess, path: string, token?: string): Promise<WebSocket> {
  const protocols = token === undefined ? [] : ['realtime.v1', `bearer.${token}`]
  const socket = new WebSocket(demo.address.replace('http', 'ws') + path, protocols)
  socket.on('error', () => {})
  t.teardown(() => socket.terminate())
  await once(socket, 'open')
  return socket
}

/** Tries until it succeeds: the server has yet to notice who has gone, and cuts whom it has no descriptor for. */
async function whenThereIsRoom<T>(attempt: () => Promise<T>): Promise<T> {
  for (let tries = 0; ; tries++) {
    try {
      return await attempt()
    } catch (error) {
      if (tries === 200) throw error
    }
  }
}

async function tcp(t: Test, demo: DemoProcess, text = ''): Promise<Socket> {
  const socket = connectTcp(demo.port, '127.0.0.1')
  socket.on('error', () => {})
  t.teardown(() => socket.destroy())
  await once(socket, 'connect')
  socket.write(text)
  return socket
}

test('F107: SIGTERM and SIGINT with nobody there: it ends at once, with 0', { timeout: 120_000 }, async (t) => {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    // A drain that waits for its window is not over when the time for this test is.
    const demo = await DemoProcess.start(t, { DRAIN_WINDOW: '600000' })
    const { code } = await demo.end(signal)
    t.equal(code, 0, signal)
    const said = demo.logs.filter(({ level }) => level === 30).map(({ msg }) => msg)
    t.same(said, [
      'no redis: channels are in memory and reach this process only',
      `Server listening at ${demo.address}`,
      OPEN_AS_ADMINISTRATOR,
      'shutting down',
      'drained',
      'closed'
    ])
    t.same(demo.noise, [])
  }
})

test('connections that ask nothing, or only half, do not hold up the end', async (t) => {
  const demo = await DemoProcess.start(t)
  await fetch(`${demo.address}/health`) // kept alive by the client
  await tcp(t, demo)
  await tcp(t, demo, 'GET / HTTP/1.1\r\nHost:')
  await tcp(
    t,
    demo,
    'POST /api/token HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{'
  )
  // The server has read all of it once it answers what came after.
  await fetch(`${demo.address}/health`)
  // A close that they hold up is given up, with 1, long before Node would cut them.
  const { code } = await demo.end()
  t.equal(code, 0)
  t.same(atLeast(demo.logs, 'error'), [])
})

test('while it drains it answers, and is not ready; then it ends', async (t) => {
  const demo = await DemoProcess.start(t, { DRAIN_WINDOW: '1000', DRAIN_TIMEOUT: '3000' })
  const token = await demo.token()
  const socket = await connected(t, demo, '/ws/json', token)
  const raw = await connected(t, demo, '/ws/echo')
  // Never answers the close: keeps the drain going for the two seconds that it is given.
  raw.pause()
  const notice = once(socket, 'message')
  const closed = once(socket, 'close')
  demo.signal('SIGTERM')
  await demo.message('shutting down')
  const ready = await fetch(`${demo.address}/ready`)
  t.same([ready.status, await ready.json()], [503, { ready: false, draining: true }])
  t.equal((await fetch(`${demo.address}/health`)).status, 200)
  const { response } = await rawUpgrade(demo.port, { path: '/ws/echo' })
  t.equal(response.statusCode, 503)
  t.match(response.headers['retry-after'], /^\d+$/)
  t.match(JSON.parse(String((await notice)[0])), { notice: { code: 'draining', reconnectAfter: Number } })
  const [code, reason] = await closed
  t.same([code, String(reason)], [1012, 'server restart'])
  const end = await demo.exited
  t.equal(end.code, 0)
  t.match(await demo.message('drained'), { closed: 1, terminated: 1 }, 'at its timeout, or the close had failed')
  t.same(atLeast(demo.logs, 'error'), [])
  holdsNoToken(t, token, demo.logs, demo.noise)
})

test('F110: a second signal ends it at once, and says so by its code', async (t) => {
  const demo = await DemoProcess.start(t, { DRAIN_WINDOW: '20000', DRAIN_TIMEOUT: '30000' })
  const sockets = await Promise.all([1, 2, 3].map(() => connected(t, demo, '/ws/echo')))
  for (const socket of sockets) socket.pause()
  demo.signal('SIGTERM')
  await demo.message('shutting down')
  const { code } = await demo.end('SIGTERM')
  t.equal(code, 143)
  t.notOk(
    demo.logs.some(({ msg }) => msg === 'drained'),
    'in the middle of its drain'
  )
})

test('a port that is taken: one clear line, and 1', async (t) => {
  const demo = await DemoProcess.start(t)
  const other = DemoProcess.spawn(t, { PORT: String(demo.port) })
  t.equal((await other.exited).code, 1)
  const [fatal, ...more] = atLeast(other.logs, 'error')
  t.match(fatal, { level: 60, msg: `port ${demo.port} of 127.0.0.1 is taken: set PORT to another one` })
  t.same([more, other.noise], [[], []])
})

test('an environment that makes no sense: one clear line, and 1', async (t) => {
  const demo = DemoProcess.spawn(t, { PORT: 'http', DRAIN_TIMEOUT: '1' })
  t.equal((await demo.exited).code, 1)
  t.match(demo.logs, [{ level: 60, msg: /^PORT must be .*; DRAIN_TIMEOUT must be / }])
  t.same(demo.noise, [])
})

test('secrets: a random one is said to be, a short one too, and none is shown', async (t) => {
  const random = await DemoProcess.start(t)
  t.match(await random.line(({ level }) => level === 40), { msg: /^JWT_SECRET is not set/ })
  const short = await DemoProcess.start(t, { JWT_SECRET: 'hunter2' })
  t.match(await short.line(({ level }) => level === 40), { msg: 'JWT_SECRET is shorter than 32 bytes' })
  t.notMatch(JSON.stringify(short.logs), 'hunter2')
  const token = await random.token()
  const authorization = `Bearer ${token}`
  const body = JSON.stringify({ colour: 'red', points: [0, 0] })
  const headers = { authorization, 'content-type': 'application/json' }
  await fetch(`${random.address}/api/boards/a/strokes`, { method: 'POST', headers, body })
  await fetch(`${short.address}/api/boards/a/strokes`, { method: 'POST', headers, body })
  const stranger = new WebSocket(`${short.address.replace('http', 'ws')}/ws/json`, ['realtime.v1', `bearer.${token}`])
  const [, { statusCode }] = await once(stranger, 'unexpected-response')
  t.equal(statusCode, 401)
  holdsNoToken(t, token, random.logs, short.logs)
  t.same([...atLeast(random.logs, 'error'), ...atLeast(short.logs, 'error')], [])
})

test('F113: out of file descriptors, what is connected stays, and there is room again once some have gone', async (t) => {
  // Enough to load the demo's modules, many at a time, and too few for the crowd.
  const demo = await DemoProcess.start(t, {}, 'ulimit -n 256')
  const socket = await connected(t, demo, '/ws/echo')
  const many = Array.from({ length: 400 }, () => {
    const crowd = connectTcp(demo.port, '127.0.0.1')
    crowd.on('error', () => {})
    t.teardown(() => crowd.destroy())
    return crowd
  })
  await Promise.all(many.map((crowd) => once(crowd, 'connect').catch(() => {})))
  socket.send('still there?')
  const [answer] = await once(socket, 'message')
  t.equal(String(answer), 'still there?')
  for (const crowd of many) crowd.destroy()
  const late = await whenThereIsRoom(() => connected(t, demo, '/ws/echo'))
  late.send('hello')
  t.equal(String((await once(late, 'message'))[0]), 'hello')
  t.ok(demo.logs.length < 50, 'the log is not flooded')
  t.equal((await demo.end()).code, 0)
})
