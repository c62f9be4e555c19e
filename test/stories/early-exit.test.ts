import { fork } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as wait } from 'node:timers/promises'
import t from 'tap'
import { WebSocket } from 'ws'
import { connect } from '../../lib/client/index.ts'
import { createPublisher } from '../../lib/publisher.ts'
import { Crowd } from '../support/crowd.ts'
import { RedisServer } from '../support/redis-server.ts'

const CONNECTIONS = 200
const DELAY = 2_000
const WINDOW = 10_000
// Milliseconds between two publications.
const PACE = 50

async function startServer(t: { teardown(fn: () => unknown): void }, env: NodeJS.ProcessEnv = {}) {
  const server = fork(new URL('early-exit-server.ts', import.meta.url), {
    env: { ...process.env, NODE_V8_COVERAGE: '', ...env }
  })
  t.teardown(() => server.kill('SIGKILL'))
  const [{ port }] = (await once(server, 'message')) as [{ port: number }]
  return { server, port }
}

/** How many of the values lie in each quarter of the window. */
function quartersOf(values: readonly number[]): number[] {
  const quarters = [0, 0, 0, 0]
  for (const value of values) {
    const quarter = Math.max(0, Math.min(3, Math.floor(((value - DELAY) / WINDOW) * 4)))
    quarters[quarter] = (quarters[quarter] ?? 0) + 1
  }
  return quarters
}

/*
 * The notices went out one by one, when each connection's turn to be closed came. A process that was ended before the
 * drain was over (fastify-cli waits 500 ms) had warned a few of its clients, and all others came back at once.
 */
t.test('case 167: a process that is ended early has warned everybody', async (t) => {
  const { server, port } = await startServer(t)
  const crowd = await Crowd.join(t, { url: `ws://127.0.0.1:${port}/live`, count: CONNECTIONS })
  const exited = once(server, 'exit')
  server.kill('SIGTERM')
  t.same(await exited, [1, null], 'the process did not wait')

  const members = await crowd.members
  const hints = members.flatMap(({ reconnectAfter }) => reconnectAfter ?? [])
  t.equal(hints.length, CONNECTIONS, 'every client was warned')
  t.same(members.map(({ fault }) => fault).filter(Boolean), [])
  // A notice counts from its receipt: one that leaves some milliseconds after the first names as many less.
  t.ok(Math.min(...hints) > DELAY / 2, 'nobody is to come back before the load balancer has noticed')
  t.ok(Math.max(...hints) <= DELAY + WINDOW)
  const quarters = quartersOf(hints)
  for (const count of quarters) t.ok(count >= CONNECTIONS / 5, `spread over the window: ${quarters}`)
})

/*
 * The same with the package's own client, and a second instance that is up already. The process that ends early cuts all
 * clients. They come back over the window, and have everything: what was published meanwhile, and what they sent.
 */
t.test('case 167: after an early end all clients are on the other instance, and nothing is lost', async (t) => {
  const redis = await RedisServer.start(t)
  const env = { REDIS_URL: redis.url }
  const [old, other] = await Promise.all([startServer(t, env), startServer(t, env)])
  // A load balancer, as far as the clients can see one.
  let target = old.port
  class Balanced extends WebSocket {
    constructor(url: string, protocols: string[]) {
      super(url.replace(/:\d+/, `:${target}`), protocols)
    }
  }
  const visit = (url: string, Socket: unknown = WebSocket) => {
    const client = connect<unknown, number>(url, { WebSocket: Socket as never })
    t.teardown(() => client.close())
    const visitor = { client, received: [] as number[], gaps: 0, opens: [] as number[], breaks: 0 }
    client.on('publication', ({ data }) => visitor.received.push(data))
    client.on('gap', () => visitor.gaps++)
    client.on('open', () => visitor.opens.push(performance.now()))
    client.on('state', (state) => {
      if (state === 'connecting') visitor.breaks++
    })
    return visitor
  }
  const watcher = visit(`ws://127.0.0.1:${other.port}/rooms/sent`)
  const begun = performance.now()
  const visitors = Array.from({ length: CONNECTIONS }, () => visit('ws://127.0.0.1:1/rooms/tea', Balanced))
  const pids = () => Promise.all(visitors.map(({ client }) => client.request('who?', { timeout: 60_000 })))
  const isAt = (pid: number | undefined, replies: unknown[]) =>
    replies.filter((reply) => (reply as { pid: number }).pid === pid).length
  t.equal(isAt(old.server.pid, await pids()), CONNECTIONS)
  await watcher.client.request('who?')
  const usual = performance.now() - begun

  const publisher = await createPublisher({ redis: redis.url, history: () => ({ size: 1_000, ttl: 600_000 }) })
  t.teardown(() => publisher.close())
  let published = 0
  let running = true
  const publishing = (async () => {
    while (running) {
      await publisher.publish('rooms/tea', published++)
      await wait(PACE)
    }
  })()
  while (visitors.some(({ received }) => received.length === 0)) await wait(10)

  const exited = once(old.server, 'exit')
  target = other.port
  const start = performance.now()
  old.server.kill('SIGTERM')
  t.same(await exited, [1, null], 'the process did not wait')
  while (visitors.some(({ breaks }) => breaks === 0)) await wait(10)
  const sent = visitors.map(({ client }, i) => client.send(i))
  await Promise.all(sent)
  t.equal(isAt(other.server.pid, await pids()), CONNECTIONS, 'every client is on the other instance')
  running = false
  await publishing
  while (visitors.some(({ received }) => received.at(-1) !== published - 1)) await wait(10)

  // From the first that it received to the last.
  const whole = visitors.filter(({ received }) => received.every((number, i) => number === (received[0] as number) + i))
  t.equal(whole.length, CONNECTIONS, 'each has everything, once and in order')
  t.equal(visitors.filter(({ gaps }) => gaps > 0).length, 0)
  while (watcher.received.length < CONNECTIONS) await wait(10)
  t.same(
    watcher.received.toSorted((a, b) => a - b),
    Array.from({ length: CONNECTIONS }, (_, i) => i),
    'what they sent while they were away was published once'
  )
  t.ok(visitors.every(({ opens }) => opens.length === 2))
  const backAfter = visitors.map(({ opens }) => (opens[1] as number) - start)
  const quarters = quartersOf(backAfter)
  t.comment({ published, quarters, lastBackAfter: Math.round(Math.max(...backAfter)), usual: Math.round(usual) })
  t.ok(Math.max(...backAfter) <= DELAY + WINDOW + 2 * usual, 'within the window, by the measure of this machine')
  for (const count of quarters) t.ok(count >= CONNECTIONS / 8, `spread over the window: ${quarters}`)
})
