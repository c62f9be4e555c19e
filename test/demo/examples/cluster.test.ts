import { once } from 'node:events'
import t, { type Test } from 'tap'
import { WebSocket } from 'ws'
import { testToken } from '../../../lib/testing/index.ts'
import { centrifuge, next, withToken } from '../../support/centrifuge.ts'
import { ExampleServer } from '../../support/example.ts'
import { freePort, RedisServer } from '../../support/redis-server.ts'

const secret = 'a secret of the test, long enough'
const token = (sub: string) => testToken({ sub }, { secret })

async function start(t: Test, workers: number): Promise<{ server: ExampleServer; redis: RedisServer }> {
  const redis = await RedisServer.start(t)
  // A fixed port: if all workers die, the port of their successors would be another one.
  const port = String(await freePort())
  const env = { REDIS_URL: redis.url, JWT_SECRET: secret, WORKERS: String(workers), PORT: port }
  return { redis, server: await ExampleServer.start(t, 'cluster', env, Math.max(1, workers)) }
}

/** A client of the board, and the numbers that it has received. */
async function follower(t: Test, server: ExampleServer, sub: string) {
  const client = centrifuge(t, `ws://127.0.0.1:${server.port}/connection/websocket`, {
    websocket: withToken(() => token(sub))
  })
  const board = client.newSubscription('boards/plan')
  const numbers: number[] = []
  const state = { gaps: 0, reached: (_number: number) => {} }
  board.on('publication', ({ data }) => {
    numbers.push(data.number)
    state.reached(data.number)
  })
  board.on('subscribed', ({ wasRecovering, recovered }) => {
    if (wasRecovering && !recovered) state.gaps++
  })
  board.subscribe()
  client.connect()
  await board.ready()
  const until = (last: number) =>
    new Promise<void>((resolve) => {
      state.reached = (number) => number >= last && resolve()
      if (numbers.includes(last)) resolve()
    })
  return { client, board, numbers, state, until }
}

t.test('SIGHUP replaces the workers one by one, and nothing is lost or doubled', async (t) => {
  const { server } = await start(t, 2)
  const first = new Set(
    server.program.logs.filter(({ msg }) => msg.startsWith('Server listening')).map(({ pid }) => pid)
  )
  const followers = await Promise.all(Array.from({ length: 6 }, () => follower(t, server, 'ada')))
  const writer = await follower(t, server, 'grace')
  let last = -1
  let isWriting = true
  const writing = (async () => {
    while (isWriting) {
      const number = ++last
      // Again until it is answered: the key makes it one mark.
      while (!(await writer.board.publish({ number }).then(Boolean, () => false))) {
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
    }
  })()
  server.program.child.kill('SIGHUP')
  await server.program.line('all workers restarted')
  const { pids } = await server.program.listening(4)
  isWriting = false
  await writing
  t.equal(new Set(pids).size, 4)
  for (const { numbers, state, until } of followers) {
    await until(last)
    t.same(
      numbers,
      Array.from({ length: last + 1 }, (_, number) => number)
    )
    t.equal(state.gaps, 0)
  }
  const { pid } = (await (await fetch(`${server.url}/ready`)).json()) as { pid: number }
  t.notOk(first.has(pid), 'a new worker answers')
  t.equal(await server.end(), 0)
  t.equal(server.program.logs.filter(({ msg }) => msg === 'drained').length, 4, 'each worker has drained')
  t.notMatch(JSON.stringify(server.program.logs), (token('ada').split('.') as string[])[2] as string)
})

t.test('a worker that is killed is replaced, and its clients miss nothing', async (t) => {
  const { server } = await start(t, 2)
  const { numbers, until, board } = await follower(t, server, 'ada')
  await board.publish({ number: 1 })
  const { pids } = await server.program.listening(2)
  for (const pid of pids) process.kill(pid, 'SIGKILL')
  await server.program.listening(4)
  await board.ready()
  await board.publish({ number: 2 })
  await until(2)
  t.same(numbers, [1, 2])
  t.equal(await server.end(), 0)
})

t.test('alone, as in a container: health, readiness without Redis, and what a client may not do', async (t) => {
  const { server, redis } = await start(t, 0)
  const status = async (path: string) => (await fetch(server.url + path)).status
  t.same([await status('/health'), await status('/ready')], [200, 200])
  const path = '/connection/websocket'
  t.equal(await server.handshake(path, { origin: 'https://evil.example' }), 403)
  const offer = [
    'realtime.v1',
    `bearer.${testToken({ sub: 'ada' }, { secret: 'another secret, as long as it has to be' })}`
  ]
  t.equal(await server.handshake(path, {}, offer), 401)
  const eve = centrifuge(t, `${server.url.replace('http', 'ws')}${path}`, { websocket: withToken(() => token('eve')) })
  eve.connect()
  const refused = eve.newSubscription('boards/plan')
  refused.subscribe()
  t.match(await next(refused, 'unsubscribed'), { code: 103 })
  const anonymous = centrifuge(t, `${server.url.replace('http', 'ws')}${path}`, { websocket: WebSocket })
  anonymous.connect()
  t.match(await next(anonymous, 'disconnected'), { code: 101 })

  await redis.kill()
  while ((await status('/ready')) !== 503) await new Promise((resolve) => setTimeout(resolve, 20))
  t.equal(await status('/health'), 200, 'Redis is no reason to restart')
  await redis.restart()
  while ((await status('/ready')) !== 200) await new Promise((resolve) => setTimeout(resolve, 20))
  const socket = new WebSocket(`${server.url.replace('http', 'ws')}${path}`, ['realtime.v1', `bearer.${token('ada')}`])
  await once(socket, 'open')
  t.equal(await server.end(), 0)
})

t.test('it does not start without Redis or a secret', async (t) => {
  const env = { WORKERS: '0', NODE_ENV: 'production' }
  t.match(await ExampleServer.fails('cluster', env), { code: 1, printed: /Set REDIS_URL/ })
  const other = { ...env, REDIS_URL: 'redis://127.0.0.1:1' }
  t.match(await ExampleServer.fails('cluster', other), { code: 1, printed: /Set JWT_SECRET/ })
})
