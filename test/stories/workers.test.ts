import { setTimeout as wait } from 'node:timers/promises'
import t from 'tap'
import { WebSocket } from 'ws'
import { connect, type RealtimeClient } from '../../lib/client/index.ts'
import { createPublisher } from '../../lib/publisher.ts'
import { DemoProcess } from '../support/demo.ts'
import { RedisServer } from '../support/redis-server.ts'

const ROOMS = 4
const CLIENTS_PER_ROOM = 5
const CONTROLS_PER_ROOM = 2
// Milliseconds between two publications, which go to the rooms by turns: 50 a second.
const PACE = 20
const HISTORY = { size: 1_000, ttl: 600_000 }

/** A client of a room, and what it has seen. */
class Visitor {
  readonly received: number[] = []
  /** When each publication came. */
  readonly times: number[] = []
  readonly codes: number[] = []
  gaps = 0
  opened = 0
  breaks = 0
  readonly ready: Promise<void>
  readonly #client: RealtimeClient<unknown, { number: number }>

  constructor(port: number, room: number, token: string) {
    const { codes } = this
    class Observed extends WebSocket {
      constructor(url: string, protocols: string[]) {
        super(url, protocols)
        this.on('close', (code) => codes.push(code))
        this.on('message', (data) => {
          if (JSON.parse(String(data)).notice?.code === 'subscribed') subscribed()
        })
      }
    }
    let subscribed = () => {}
    this.ready = new Promise((resolve) => {
      subscribed = resolve
    })
    this.#client = connect(`ws://127.0.0.1:${port}/ws/rooms/${room}`, {
      WebSocket: Observed as never,
      token: () => token
    })
    this.#client.on('publication', ({ data }) => {
      this.received.push(data.number)
      this.times.push(performance.now())
    })
    this.#client.on('gap', () => this.gaps++)
    this.#client.on('open', () => this.opened++)
    this.#client.on('state', (state) => {
      if (state === 'connecting') this.breaks++
    })
  }

  /** The longest time without a publication, in milliseconds, within this span. */
  longestSilence(from: number, to: number): number {
    const times = [from, ...this.times.filter((time) => time > from && time < to), to]
    return Math.max(...times.slice(1).map((time, i) => time - (times[i] as number)))
  }

  close(): void {
    this.#client.close()
  }
}

function median(values: number[]): number {
  return Math.round(values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] as number)
}

t.test('several workers need Redis, and say how to get it where there is none to be started', async (t) => {
  const demo = DemoProcess.spawn(t, { PATH: '' }, undefined, ['--workers', '2'])
  const { msg } = await demo.line(({ level }) => level === 60)
  t.match(msg, /redis-server.*REDIS_URL/)
  t.match(await demo.exited, { code: 1 })
  const wrong = DemoProcess.spawn(t, {}, undefined, ['--worker=x'])
  t.match(await wrong.line(({ level }) => level === 60), { msg: /--workers N/ })
})

/*
 * The control group is connected to a process that is not restarted. It has the same publications at the same time, on
 * the same machine: what is longer for the others is the restart's doing.
 */
t.test('a rolling restart of four workers loses, doubles and reorders nothing', { timeout: 200_000 }, async (t) => {
  const redis = await RedisServer.start(t)
  const env = { REDIS_URL: redis.url, JWT_SECRET: 'shared', DRAIN_WINDOW: '4000', DRAIN_TIMEOUT: '10000' }
  const demo = await DemoProcess.start(t, env, undefined, ['--workers', '4'])
  await demo.message('all workers listen')
  const stable = await DemoProcess.start(t, env)
  const token = await demo.token()
  const visit = (port: number, perRoom: number) =>
    Array.from({ length: ROOMS * perRoom }, (_, i) => new Visitor(port, i % ROOMS, token))
  const clients = visit(demo.port, CLIENTS_PER_ROOM)
  const controls = visit(stable.port, CONTROLS_PER_ROOM)
  const all = [...clients, ...controls]
  t.teardown(() => {
    for (const client of all) client.close()
  })
  await Promise.all(all.map(({ ready }) => ready))

  const publisher = await createPublisher({ redis: redis.url, history: () => HISTORY })
  t.teardown(() => publisher.close())
  const published: number[][] = Array.from({ length: ROOMS }, () => [])
  let running = true
  const publishing = (async () => {
    for (let number = 0; running; number++) {
      const room = number % ROOMS
      await publisher.publish(`rooms/${room}`, { number })
      published[room]?.push(number)
      await wait(PACE)
    }
  })()
  // Each has begun to receive.
  while (all.some(({ received }) => received.length === 0)) await wait(10)

  const from = performance.now()
  demo.signal('SIGHUP')
  await demo.message('all workers restarted')
  const to = performance.now()
  running = false
  await publishing
  // The last of each room has come to each of its clients: nothing can be behind it.
  for (let tries = 0; tries < 1_000; tries++) {
    if (all.every(({ received }, i) => received.at(-1) === published[i % ROOMS]?.at(-1))) break
    await wait(10)
  }
  for (const [i, { received, gaps }] of all.entries()) {
    t.strictSame(received, published[i % ROOMS])
    t.equal(gaps, 0)
  }
  t.ok(Math.min(...clients.map(({ opened }) => opened)) > 1, 'every client changed its worker')
  t.ok(
    controls.every(({ opened }) => opened === 1),
    'and no client of the control group did'
  )
  t.notOk(clients.flatMap(({ codes }) => codes).includes(1011))
  const listening = demo.logs.filter(({ msg }) => msg?.startsWith('Server listening')).map(({ pid }) => pid)
  t.equal(new Set(listening).size, 8, 'four before, and four others')

  const silence = median(clients.map((client) => client.longestSilence(from, to)))
  const usual = median(controls.map((client) => client.longestSilence(from, to)))
  t.comment({
    published: published.flat().length,
    seconds: Math.round((to - from) / 1_000),
    handovers: clients.reduce((sum, { opened }) => sum + opened - 1, 0),
    breaks: clients.reduce((sum, { breaks }) => sum + breaks, 0),
    longestSilence: { restarted: silence, control: usual }
  })
  t.ok(silence <= 2 * usual, `the longest silence at the median: ${silence} ms, and ${usual} ms without a restart`)

  await stable.end()
  demo.signal('SIGTERM')
  const { code } = await demo.exited
  t.equal(code, 0)
})

t.test('a worker that dies is replaced', { timeout: 60_000 }, async (t) => {
  const redis = await RedisServer.start(t)
  const demo = await DemoProcess.start(t, { REDIS_URL: redis.url }, undefined, ['--workers', '1'])
  const { pid } = await demo.line(({ msg }) => msg?.startsWith('Server listening') === true)
  await demo.message('all workers listen')
  process.kill(pid as number, 'SIGKILL')
  await demo.message('a worker died')
  await demo.line((line) => line.msg?.startsWith('Server listening') === true && line.pid !== pid)
  t.match(await demo.end(), { code: 0 })
})
