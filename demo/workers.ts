import cluster, { type Worker } from 'node:cluster'
import { once } from 'node:events'
import { constants } from 'node:os'
import { stdout } from 'node:process'
import {
  type BreakAction,
  type BreakAnswer,
  type BreakQuestion,
  type BreakState,
  type FindAnswer,
  type FindQuestion,
  NO_CONNECTION
} from './breaker.ts'
import { OwnRedis } from './own-redis.ts'
import { Peer } from './peer.ts'
import type { Settings } from './settings.ts'

/*
 * `--workers N`: Node's cluster module, one port for N processes of the demo. SIGHUP replaces them one after another,
 * each only when its successor listens; SIGTERM and SIGINT drain them all.
 */

// A worker that dies of itself is replaced, but not in a tight circle.
const REPLACE_DELAY = 1_000
// Past the workers' own drain, each of which ends by itself.
const EXIT_GRACE = 5_000
// The answer to who asked for it may have to leave the worker that is to be killed.
const KILL_DELAY = 50

const RUNNING = 'Something is being broken already'
const FOREIGN_REDIS = "The Redis at REDIS_URL is not the demo's own: start it without REDIS_URL"

/** One line as the workers' pino writes it. */
function log(level: 30 | 40 | 60, msg: string, details: object = {}): void {
  stdout.write(`${JSON.stringify({ level, time: Date.now(), pid: process.pid, ...details, msg })}\n`)
}

/**
 * Runs the primary process. Resolves once the first workers listen.
 *
 * @param redisServer The path of the server to start where the settings name no Redis.
 */
export async function runWorkers(count: number, settings: Settings, redisServer: string | undefined): Promise<void> {
  const redis = redisServer === undefined ? undefined : await startRedis(redisServer)
  const primary = new Primary(count, settings, redis)
  process.on('SIGHUP', () => void primary.restart())
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void primary.end(signal))
  await primary.start()
}

async function startRedis(path: string): Promise<OwnRedis> {
  const redis = await OwnRedis.start(path, () => log(40, 'the Redis of this demo died: starting it again'))
  log(30, 'started a Redis for this demo', { url: redis.url, redis: redis.pid })
  return redis
}

class Primary {
  readonly #count: number
  readonly #settings: Settings
  readonly #redis: OwnRedis | undefined
  readonly #peers = new Map<Worker, Peer<FindQuestion, FindAnswer>>()
  #ending = false
  #running: BreakAction | null = null

  constructor(count: number, settings: Settings, redis: OwnRedis | undefined) {
    this.#count = count
    this.#settings = settings
    this.#redis = redis
  }

  async start(): Promise<void> {
    cluster.on('exit', (worker, code, signal) => this.#gone(worker, code, signal))
    await Promise.all(Array.from({ length: this.#count }, () => this.#fork()))
    log(30, 'all workers listen', { workers: this.#count })
  }

  /** Replaces each worker, the next only when the one before is gone. */
  restart(): Promise<void> {
    return this.#run('restart', () => this.#restart())
  }

  async end(signal: 'SIGTERM' | 'SIGINT'): Promise<void> {
    if (this.#ending) {
      for (const worker of workers()) worker.process.kill('SIGKILL')
      process.exit(128 + constants.signals[signal])
    }
    this.#ending = true
    log(30, 'draining all workers', { signal })
    setTimeout(() => {
      log(60, 'the workers took too long')
      process.exit(1)
    }, this.#settings.drain.timeout + EXIT_GRACE).unref()
    await Promise.all(workers().map((worker) => this.#stop(worker)))
    await this.#redis?.stop()
    log(30, 'closed')
    process.exit(0)
  }

  async #restart(): Promise<void> {
    log(30, 'restarting the workers one by one')
    for (const worker of workers()) {
      if (this.#ending || worker.isDead()) continue
      await this.#fork()
      await this.#stop(worker)
    }
    log(30, 'all workers restarted')
  }

  /** Resolves once the new worker listens, or is dead: then `exit` has seen to it. */
  async #fork(): Promise<void> {
    // All must take each other's tokens, and have one Redis.
    const worker = cluster.fork({ JWT_SECRET: this.#settings.jwtSecret, ...this.#redisAddress() })
    this.#peers.set(worker, new Peer(worker, (question) => this.#answer(question as BreakQuestion)))
    await Promise.race([once(worker, 'listening'), once(worker, 'exit')])
  }

  #redisAddress(): { REDIS_URL?: string } {
    return this.#redis === undefined ? {} : { REDIS_URL: this.#redis.url }
  }

  async #stop(worker: Worker): Promise<void> {
    if (worker.isDead()) return
    const gone = once(worker, 'exit')
    stopping.add(worker)
    worker.process.kill('SIGTERM')
    await gone
  }

  #gone(worker: Worker, code: number, signal: string): void {
    this.#peers.delete(worker)
    if (stopping.has(worker)) return
    log(40, 'a worker died', { worker: worker.process.pid, code, signal })
    if (this.#ending) return
    setTimeout(() => {
      if (!this.#ending) void this.#fork()
    }, REPLACE_DELAY)
  }

  // What the panel "Break it" asks for

  async #answer({ action, connection, user }: BreakQuestion): Promise<BreakAnswer> {
    if (action === undefined) return { refusal: undefined, state: this.#state }
    const refusal = await this.#begin(action, connection ?? '', user)
    return { refusal, state: this.#state }
  }

  get #state(): BreakState {
    const redis = this.#redis === undefined ? FOREIGN_REDIS : null
    return { workers: this.#count, running: this.#running, refusals: { restart: null, kill: null, redis, cut: null } }
  }

  /** Says why not. What takes longer goes on after the answer: `running` says so. */
  async #begin(action: BreakAction, connection: string, user: string): Promise<string | undefined> {
    const refusal = this.#running === null ? this.#state.refusals[action] : RUNNING
    if (refusal !== null) return refusal
    if (action === 'cut') return (await this.#find({ connection, user, cut: true })) ? undefined : NO_CONNECTION
    if (action === 'restart') void this.restart()
    if (action === 'kill') void this.#run('kill', () => this.#killWorkerOf(connection, user))
    if (action === 'redis') void this.#run('redis', () => this.#killRedis())
    return undefined
  }

  async #run(action: BreakAction, act: () => Promise<void>): Promise<void> {
    if (this.#running !== null || this.#ending) return
    this.#running = action
    try {
      await act()
    } catch (err) {
      log(40, 'what was broken did not come back', { action, err: String(err) })
    } finally {
      this.#running = null
    }
  }

  /** Kills the worker that has the connection, or any; done once another listens in its place. */
  async #killWorkerOf(connection: string, user: string): Promise<void> {
    const found = await this.#find({ connection, user, cut: false })
    const victim = found ?? workers().find((worker) => !worker.isDead())
    if (victim === undefined) return
    const replaced = once(cluster, 'listening')
    setTimeout(() => victim.process.kill('SIGKILL'), KILL_DELAY)
    await replaced
  }

  async #killRedis(): Promise<void> {
    log(30, 'killing the Redis of this demo')
    await this.#redis?.killAndRestart()
    log(30, 'restarted the Redis of this demo')
  }

  /** The worker that has a connection. */
  async #find(question: FindQuestion): Promise<Worker | undefined> {
    const asked = Array.from(this.#peers, async ([worker, peer]) => {
      const answer = await peer.ask(question)
      return answer?.found === true ? [worker] : []
    })
    return (await Promise.all(asked)).flat()[0]
  }
}

// Those that end because they were told to.
const stopping = new WeakSet<Worker>()

function workers(): Worker[] {
  return Object.values(cluster.workers ?? {}).filter((worker) => worker !== undefined)
}
