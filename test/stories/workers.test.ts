import { setTimeout as wait } from 'node:timers/promises'
import t from 'tap'
import { WebSocket } from 'ws'
import { createPublisher } from '../../lib/publisher.ts'
import { DemoProcess } from '../support/demo.ts'
import { RedisServer } from '../support/redis-server.ts'

const ROOMS = 4
const CLIENTS_PER_ROOM = 5
// Milliseconds between two publications, which go to the rooms by turns.
const PACE = 5
const HISTORY = { size: 1_000, ttl: 600_000 }

interface Message {
  offset?: number
  epoch?: string
  data?: { number: number }
  notice?: { code: string; recovered?: boolean; offset: number; epoch: string }
}

/** A client of a room as it should be: it comes back by itself, and says where it was. */
class Client {
  readonly received: number[] = []
  /** Milliseconds from each close to being subscribed again. */
  readonly gaps: number[] = []
  readonly codes: number[] = []
  readonly #url: string
  readonly #protocols: string[]
  #socket: WebSocket | undefined
  #position: string | undefined
  #lostAt = 0
  #done = false
  unrecovered = 0
  subscribed: Promise<void>
  #onSubscribed: () => void = () => {}

  constructor(url: string, token: string) {
    this.#url = url
    this.#protocols = ['realtime.v1', `bearer.${token}`]
    this.subscribed = new Promise((resolve) => {
      this.#onSubscribed = resolve
    })
    this.#connect()
  }

  close(): void {
    this.#done = true
    this.#socket?.close()
  }

  #connect(): void {
    const since = this.#position === undefined ? '' : `?since=${encodeURIComponent(this.#position)}`
    const socket = new WebSocket(this.#url + since, this.#protocols)
    this.#socket = socket
    socket.on('message', (data) => this.#take(JSON.parse(data.toString())))
    socket.on('error', () => {})
    socket.on('close', (code) => {
      if (this.#lostAt === 0) this.#lostAt = performance.now()
      this.codes.push(code)
      if (!this.#done) setTimeout(() => this.#connect(), 20 + Math.random() * 80)
    })
  }

  #take({ offset, epoch, data, notice }: Message): void {
    if (notice?.code === 'subscribed') {
      if (this.#position !== undefined) {
        this.gaps.push(performance.now() - this.#lostAt)
        if (!notice.recovered) this.unrecovered++
      }
      this.#lostAt = 0
      this.#position = `${notice.epoch}:${notice.offset}`
      this.#onSubscribed()
    } else if (data !== undefined) {
      this.received.push(data.number)
      this.#position = `${epoch}:${offset}`
    }
  }
}

function percentile(values: number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN)
}

t.test('several workers need Redis, and say how to get it where there is none to be started', async (t) => {
  const demo = DemoProcess.spawn(t, { PATH: '' }, undefined, ['--workers', '2'])
  const { msg } = await demo.line(({ level }) => level === 60)
  t.match(msg, /redis-server.*REDIS_URL/)
  t.match(await demo.exited, { code: 1 })
  const wrong = DemoProcess.spawn(t, {}, undefined, ['--worker=x'])
  t.match(await wrong.line(({ level }) => level === 60), { msg: /--workers N/ })
})

t.test('a rolling restart of four workers loses, doubles and reorders nothing', { timeout: 110_000 }, async (t) => {
  const redis = await RedisServer.start(t)
  const env = { REDIS_URL: redis.url, DRAIN_WINDOW: '400', DRAIN_TIMEOUT: '5000' }
  const demo = await DemoProcess.start(t, env, undefined, ['--workers', '4'])
  await demo.message('all workers listen')
  const before = new Set(demo.logs.map(({ pid }) => pid))
  const token = await demo.token()
  const clients = Array.from({ length: ROOMS * CLIENTS_PER_ROOM }, (_, i) => {
    return new Client(`ws://127.0.0.1:${demo.port}/ws/rooms/${i % ROOMS}`, token)
  })
  t.teardown(() => {
    for (const client of clients) client.close()
  })
  await Promise.all(clients.map(({ subscribed }) => subscribed))

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

  demo.signal('SIGHUP')
  await demo.message('all workers restarted')
  running = false
  await publishing
  // The last of each room has come to each of its clients: nothing can be behind it.
  for (let tries = 0; tries < 1_000; tries++) {
    if (clients.every(({ received }, i) => received.at(-1) === published[i % ROOMS]?.at(-1))) break
    await wait(10)
  }
  for (const [i, { received, unrecovered }] of clients.entries()) {
    t.strictSame(received, published[i % ROOMS])
    t.equal(unrecovered, 0)
  }
  const gaps = clients.flatMap((client) => client.gaps)
  const codes = new Set(clients.flatMap((client) => client.codes))
  t.ok(gaps.length >= clients.length, 'every client changed its worker')
  t.notOk(codes.has(1011))
  const after = demo.logs.filter(({ msg }) => msg?.startsWith('Server listening')).map(({ pid }) => pid)
  t.equal(new Set(after).size, 8, 'four before, and four others')
  t.ok(before.size > 0)
  const [p50, p90, max] = [0.5, 0.9, 1].map((part) => percentile(gaps, part))
  t.comment({
    published: published.flat().length,
    reconnects: gaps.length,
    gapMs: { p50, p90, max },
    codes: [...codes]
  })

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
