import cluster, { type Worker } from 'node:cluster'
import { once } from 'node:events'
import { isIPv6 } from 'node:net'
import { constants } from 'node:os'
import { stdout } from 'node:process'
import { adminAddress, OPEN_AS_ADMINISTRATOR } from './admin-key.ts'
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
import { Progress } from './progress.ts'
import type { Settings } from './settings.ts'
import { comesToListen, nameOf } from './worker-start.ts'

/*
 * `--workers N`: Node's cluster module, one port for N processes of the demo. SIGHUP replaces them one after another,
 * each only when its successor listens. SIGTERM and SIGINT drain them all.
 */

// If a worker dies by itself it is replaced, but not in a tight loop.
const REPLACE_DELAY = 1_000
// Added to the drain of the workers, each of which ends by itself.
const EXIT_GRACE = 5_000
// The answer to a request may have to leave the worker that is to be killed.
const KILL_DELAY = 50
// The limit for a worker that hangs before it listens, since nothing else can begin meanwhile. A start takes a second,
// and twenty on a busy machine.
const LISTEN_TIMEOUT = 60_000

const RUNNING = 'Something is being broken already'
const STARTING = 'The workers are being started'
const FOREIGN_REDIS = "The Redis at REDIS_URL is not the demo's own: start it without REDIS_URL"

/** One line in the form of the workers' pino. */
function log(level: 30 | 40 | 60, msg: string, details: object = {}): void {
  stdout.write(`${JSON.stringify({ level, time: Date.now(), pid: process.pid, ...details, msg })}\n`)
}

/**
 * Runs the primary process. Resolves once the first workers listen.
 *
 * @param redisServer The path of the server to start if the settings name no Redis.
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
  /** Whether each of the first workers listens. */
  #hasStarted = false
  #ending = false
  #running: BreakAction | null = null
  #failure: string | null = null
  readonly #progress = new Progress()
  /** The worker to stop once its successor listens. */
  #replacing: { readonly old: Worker; readonly successor: Worker } | undefined

  constructor(count: number, settings: Settings, redis: OwnRedis | undefined) {
    this.#count = count
    this.#settings = settings
    this.#redis = redis
  }

  async start(): Promise<void> {
    const listening = new Promise<string>((resolve) => {
      cluster.on('listening', (worker, { address, port }) => {
        listened.add(worker)
        resolve(`http://${isIPv6(address) ? `[${address}]` : address}:${port}`)
      })
    })
    cluster.on('exit', (worker, code, signal) => this.#gone(worker, code, signal))
    await Promise.all(Array.from({ length: this.#count }, () => comesToListen(this.#fork())))
    if (this.#ending) return
    this.#hasStarted = true
    log(30, 'all workers listen', { workers: this.#count })
    log(30, OPEN_AS_ADMINISTRATOR, { address: adminAddress(await listening, this.#settings.adminKey) })
  }

  /** Replaces each worker, the next only after the one before has ended. */
  restart(): Promise<void> {
    return this.#run('restart', () => this.#restart())
  }

  async end(signal: 'SIGTERM' | 'SIGINT'): Promise<void> {
    if (this.#ending) {
      for (const worker of workers()) worker.process.kill('SIGKILL')
      process.exit(128 + constants.signals[signal])
    }
    log(30, 'draining all workers', { signal })
    await this.#end(0)
  }

  async #end(status: number): Promise<never> {
    this.#ending = true
    setTimeout(() => {
      log(60, 'the workers took too long')
      process.exit(1)
    }, this.#settings.drain.timeout + EXIT_GRACE).unref()
    await Promise.all(workers().map((worker) => this.#stop(worker)))
    await this.#redis?.stop()
    log(30, 'closed')
    process.exit(status)
  }

  async #restart(): Promise<void> {
    log(30, 'restarting the workers one by one')
    const old = workers().filter((worker) => !worker.isDead())
    this.#progress.begin(old.map(({ id }) => id))
    for (const worker of old) {
      if (!worker.isDead()) {
        await this.#startSuccessor(worker)
        if (this.#ending) return
        this.#progress.set(worker.id, { state: 'draining' })
        await this.#stop(worker)
      }
      this.#progress.set(worker.id, { state: 'done' })
    }
    log(30, 'all workers restarted')
  }

  /**
   * Resolves once the successor listens. If it does not, the old worker stays: otherwise a fault that kills successors
   * would end all workers in turn.
   */
  async #startSuccessor(old: Worker): Promise<void> {
    const successor = this.#fork()
    this.#replacing = { old, successor }
    this.#progress.set(old.id, { state: 'starting', successor: successor.id })
    const reason = await comesToListen(successor, LISTEN_TIMEOUT)
    this.#replacing = undefined
    if (reason === undefined || this.#ending) return
    stopping.add(successor)
    successor.process.kill('SIGKILL')
    throw new Error(`${nameOf(successor)} did not come to listen: ${reason}. ${nameOf(old)} stays`)
  }

  #fork(): Worker {
    // All must accept each other's tokens, and share one Redis.
    const { jwtSecret, adminKey } = this.#settings
    const worker = cluster.fork({ JWT_SECRET: jwtSecret, ADMIN_KEY: adminKey, ...this.#redisAddress() })
    this.#peers.set(worker, new Peer(worker, (question) => this.#answer(question as BreakQuestion)))
    return worker
  }

  #redisAddress(): { REDIS_URL?: string } {
    return this.#redis === undefined ? {} : { REDIS_URL: this.#redis.url }
  }

  async #stop(worker: Worker): Promise<void> {
    if (worker.isDead()) return
    const gone = once(worker, 'exit')
    // For a worker that already drains, another signal would be the second, which ends it at once.
    if (!stopping.has(worker)) worker.process.kill('SIGTERM')
    stopping.add(worker)
    await gone
  }

  #gone(worker: Worker, code: number, signal: string): void {
    this.#peers.delete(worker)
    if (stopping.has(worker)) return
    const details = { worker: worker.process.pid, code, signal }
    // A fault that ends the first workers, like a port that is taken, would end all later ones too.
    if (!this.#hasStarted && !listened.has(worker) && !this.#ending) {
      log(60, 'a worker ended before it listened, and said why if it could: ending the others', details)
      void this.#end(1)
      return
    }
    log(40, 'a worker died', details)
    setTimeout(() => {
      if (!this.#ending && this.#isOneMissing) this.#fork()
    }, REPLACE_DELAY)
  }

  get #isOneMissing(): boolean {
    const staying = workers().filter((worker) => !worker.isDead() && !stopping.has(worker)).length
    // While both exist, they count as one.
    const pair = this.#replacing
    const isDouble = pair !== undefined && !pair.old.isDead() && !pair.successor.isDead()
    return staying - Number(isDouble) < this.#count
  }

  // Requests of the panel "Break it"

  async #answer({ action, connection, user }: BreakQuestion): Promise<BreakAnswer> {
    if (action === undefined) return { refusal: undefined, state: this.#state }
    const refusal = await this.#begin(action, connection ?? '', user)
    return { refusal, state: this.#state }
  }

  get #state(): BreakState {
    const redis = this.#redis === undefined ? FOREIGN_REDIS : null
    return {
      workers: this.#count,
      running: this.#running,
      failure: this.#failure,
      progress: this.#progress.steps,
      refusals: { restart: null, kill: null, redis, cut: null }
    }
  }

  /** Returns the reason if it refuses. Longer actions go on after the answer: `running` names them. */
  async #begin(action: BreakAction, connection: string, user: string): Promise<string | undefined> {
    if (!this.#hasStarted) return STARTING
    const refusal = this.#running === null ? this.#state.refusals[action] : RUNNING
    if (refusal !== null) return refusal
    if (action === 'cut') return (await this.#find({ connection, user, cut: true })) ? undefined : NO_CONNECTION
    if (action === 'restart') void this.restart()
    if (action === 'kill') void this.#run('kill', () => this.#killWorkerOf(connection, user))
    if (action === 'redis') void this.#run('redis', () => this.#killRedis())
    return undefined
  }

  async #run(action: BreakAction, act: () => Promise<void>): Promise<void> {
    if (this.#running !== null || this.#ending || !this.#hasStarted) {
      const running = this.#running ?? (this.#ending ? 'end' : 'start')
      log(40, `${action} ignored: something else is under way`, { running })
      return
    }
    this.#running = action
    this.#failure = null
    this.#progress.begin([])
    try {
      await act()
    } catch (err) {
      this.#failure = (err as Error).message
      this.#progress.fail(this.#failure)
      log(40, `${action} given up: ${this.#failure}`)
    } finally {
      this.#running = null
    }
  }

  /** Kills the worker that has the connection, or any worker. Resolves once another listens in its place. */
  async #killWorkerOf(connection: string, user: string): Promise<void> {
    const found = await this.#find({ connection, user, cut: false })
    const victim = found ?? workers().find((worker) => !worker.isDead())
    if (victim === undefined) return
    this.#progress.begin([victim.id])
    this.#progress.set(victim.id, { state: 'killed' })
    setTimeout(() => victim.process.kill('SIGKILL'), KILL_DELAY)
    const reason = await this.#untilReplaced(victim)
    if (reason !== undefined) throw new Error(`no worker came to listen in place of ${nameOf(victim)}${reason}`)
    this.#progress.set(victim.id, { state: 'done' })
  }

  /** Resolves with undefined once a worker listens in its place, or with what is known of those that do not. */
  #untilReplaced(victim: Worker): Promise<string | undefined> {
    return new Promise((resolve) => {
      let last = ''
      const watch = async (worker: Worker) => {
        last = `: ${nameOf(worker)} does not listen yet`
        this.#progress.set(victim.id, { state: 'starting', successor: worker.id })
        const reason = await comesToListen(worker)
        if (reason === undefined) {
          settle(undefined)
          return
        }
        last = `: ${nameOf(worker)} did not come to listen, ${reason}`
        this.#progress.set(victim.id, { reason: `${nameOf(worker)} did not come to listen: ${reason}` })
      }
      const timer = setTimeout(() => settle(last), LISTEN_TIMEOUT)
      const settle = (reason: string | undefined) => {
        clearTimeout(timer)
        cluster.off('fork', watch)
        resolve(reason)
      }
      cluster.on('fork', watch)
    })
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

// Workers that were asked to end.
const stopping = new WeakSet<Worker>()
const listened = new WeakSet<Worker>()

function workers(): Worker[] {
  return Object.values(cluster.workers ?? {}).filter((worker) => worker !== undefined)
}
