import cluster, { type Worker } from 'node:cluster'
import { once } from 'node:events'
import { constants } from 'node:os'
import { stdout } from 'node:process'
import type { Settings } from './settings.ts'

/*
 * `--workers N`: Node's cluster module, one port for N processes of the demo. SIGHUP replaces them one after another,
 * each only when its successor listens; SIGTERM and SIGINT drain them all.
 */

// A worker that dies of itself is replaced, but not in a tight circle.
const REPLACE_DELAY = 1_000
// Past the workers' own drain, each of which ends by itself.
const EXIT_GRACE = 5_000

/** One line as the workers' pino writes it. */
function log(level: 30 | 40 | 60, msg: string, details: object = {}): void {
  stdout.write(`${JSON.stringify({ level, time: Date.now(), pid: process.pid, ...details, msg })}\n`)
}

/** Runs the primary process. Resolves once the first workers listen. */
export async function runWorkers(count: number, settings: Settings): Promise<void> {
  const primary = new Primary(count, settings)
  process.on('SIGHUP', () => void primary.restart())
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void primary.end(signal))
  await primary.start()
}

class Primary {
  readonly #count: number
  readonly #settings: Settings
  #ending = false
  #restarting = false

  constructor(count: number, settings: Settings) {
    this.#count = count
    this.#settings = settings
  }

  async start(): Promise<void> {
    cluster.on('exit', (worker, code, signal) => this.#replace(worker, code, signal))
    await Promise.all(Array.from({ length: this.#count }, () => this.#fork()))
    log(30, 'all workers listen', { workers: this.#count })
  }

  /** Replaces each worker, the next only when the one before is gone. */
  async restart(): Promise<void> {
    if (this.#restarting || this.#ending) return
    this.#restarting = true
    log(30, 'restarting the workers one by one')
    for (const worker of workers()) {
      if (this.#ending || worker.isDead()) continue
      await this.#fork()
      await this.#stop(worker, 'SIGTERM')
    }
    this.#restarting = false
    log(30, 'all workers restarted')
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
    await Promise.all(workers().map((worker) => this.#stop(worker, signal)))
    log(30, 'closed')
    process.exit(0)
  }

  /** Resolves once the new worker listens, or is dead: then `exit` has seen to it. */
  async #fork(): Promise<void> {
    // All must take each other's tokens.
    const worker = cluster.fork({ JWT_SECRET: this.#settings.jwtSecret })
    await Promise.race([once(worker, 'listening'), once(worker, 'exit')])
  }

  async #stop(worker: Worker, signal: NodeJS.Signals): Promise<void> {
    if (worker.isDead()) return
    const gone = once(worker, 'exit')
    stopping.add(worker)
    worker.process.kill(signal)
    await gone
  }

  #replace(worker: Worker, code: number, signal: string): void {
    if (stopping.has(worker)) return
    log(40, 'a worker died', { worker: worker.process.pid, code, signal })
    if (this.#ending) return
    setTimeout(() => {
      if (!this.#ending) void this.#fork()
    }, REPLACE_DELAY)
  }
}

// Those that end because they were told to.
const stopping = new WeakSet<Worker>()

function workers(): Worker[] {
  return Object.values(cluster.workers ?? {}).filter((worker) => worker !== undefined)
}
