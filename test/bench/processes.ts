import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { Redis } from 'ioredis'
import { redisServerPath } from '../../scripts/requirements.ts'
import { freePort } from '../support/redis-server.ts'
import type { LoadCommand, LoadSample } from './load/generator.ts'

/*
 * The processes of a measurement, and what the kernel knows of them. If `taskset` is installed, servers and generator
 * have a core each.
 */

const PREPARED = ['--import', new URL('../../scripts/typescript.js', import.meta.url).href, '--expose-gc']
// tap gives the processes of a test options for Node, which measure coverage. They would count.
const PLAIN = process.platform === 'win32' ? [] : ['env', '-u', 'NODE_OPTIONS']
// Milliseconds until a server that does not start, or a load that no longer moves, fails the run.
const PATIENCE = 300_000

/** Whether the server and the generator can be kept apart. */
export const pinned = availableParallelism() > 1 && spawnSync('taskset', ['-V']).status === 0

function start(file: string, core: number, more: NodeJS.ProcessEnv = {}, flags: readonly string[] = []): ChildProcess {
  const script = fileURLToPath(new URL(file, import.meta.url))
  const node = [...PLAIN, process.execPath, ...PREPARED, ...flags, script]
  const [program, ...args] = onCore(core, node)
  const env = { PATH: process.env.PATH, NODE_ENV: 'production', ...more }
  return spawn(program, args, { env, stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
}

export function onCore(core: number, command: readonly string[]): [string, ...string[]] {
  return (pinned ? ['taskset', '-c', String(core), ...command] : command) as [string, ...string[]]
}

/** The child's next message. */
async function nextMessage<Answer>(child: ChildProcess): Promise<Answer> {
  const received = new AbortController()
  const options = { signal: AbortSignal.any([AbortSignal.timeout(PATIENCE), received.signal]) }
  try {
    const exit = once(child, 'exit', options).then(() => {
      throw new Error('A process of the benchmark ended early')
    })
    const [answer] = await Promise.race([once(child, 'message', options), exit])
    return answer as Answer
  } finally {
    received.abort()
  }
}

function ask<Answer>(child: ChildProcess, question: object | string): Promise<Answer> {
  child.send(question as object)
  return nextMessage<Answer>(child)
}

async function end(child: ChildProcess): Promise<void> {
  const exited = once(child, 'exit')
  if (child.exitCode === null && child.kill('SIGKILL')) await exited
}

/** What the kernel counts of a process, in seconds since its start. */
export interface Usage {
  /** Of all threads, user and system. */
  readonly cpu: number
  /** Time in which the main thread could have run, but another process had the CPU. */
  readonly delay: number
}

// Nanoseconds on the CPU, then nanoseconds waited for it.
function readSchedstat(path: string): [number, number] {
  const [run = 0, wait = 0] = readFileSync(path, 'utf8').split(' ').map(Number)
  return [run / 1e9, wait / 1e9]
}

function usageOf(pid: number): Usage | undefined {
  try {
    const tasks = readdirSync(`/proc/${pid}/task`)
    const cpu = tasks.reduce((sum, task) => sum + readSchedstat(`/proc/${pid}/task/${task}/schedstat`)[0], 0)
    return { cpu, delay: readSchedstat(`/proc/${pid}/schedstat`)[1] }
  } catch {
    return undefined // No /proc, or a kernel without these figures: the process itself is asked.
  }
}

/** A server that is measured. */
export class ServerProcess {
  readonly port: number
  readonly #child: ChildProcess

  private constructor(child: ChildProcess, port: number) {
    this.#child = child
    this.port = port
  }

  /**
   * @param env Of the server: REDIS_URL, HEARTBEAT.
   * @param flags Of Node.
   */
  static async start(file: string, env?: NodeJS.ProcessEnv, flags?: readonly string[]): Promise<ServerProcess> {
    const child = start(`./servers/${file}`, 0, env, flags)
    const { port } = await nextMessage<{ port: number }>(child)
    return new ServerProcess(child, port)
  }

  async usage(): Promise<Usage> {
    return usageOf(this.#child.pid as number) ?? { cpu: await this.ask('cpu'), delay: 0 }
  }

  /** Asks the server one of its questions (support.ts). */
  async ask<Answer = number>(question: string): Promise<Answer> {
    const { answer, error } = await ask<{ answer: Answer; error?: string }>(this.#child, question)
    if (error !== undefined) throw new Error(`server: ${error}`)
    return answer
  }

  stop(): Promise<void> {
    return end(this.#child)
  }
}

/** A Redis for the benchmark alone, on the servers' core. */
export class RedisProcess {
  readonly url: string
  readonly #child: ChildProcess

  private constructor(child: ChildProcess, url: string) {
    this.#child = child
    this.url = url
  }

  static async start(): Promise<RedisProcess> {
    const port = await freePort()
    const server = [redisServerPath(), '--port', `${port}`, '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no']
    const [program, ...args] = onCore(0, server)
    const child = spawn(program, args, { stdio: 'ignore' })
    const url = `redis://127.0.0.1:${port}`
    const client = new Redis(url, { retryStrategy: () => 20, maxRetriesPerRequest: null })
    // It connects again until the server has started.
    client.on('error', () => undefined)
    await client.ping()
    client.disconnect()
    return new RedisProcess(child, url)
  }

  async usage(): Promise<Usage> {
    return usageOf(this.#child.pid as number) ?? { cpu: 0, delay: 0 }
  }

  stop(): Promise<void> {
    return end(this.#child)
  }
}

/** The load generator. */
export class LoadProcess {
  readonly #child: ChildProcess

  private constructor(child: ChildProcess) {
    this.#child = child
  }

  static async start(): Promise<LoadProcess> {
    const child = start('./load/generator.ts', 1)
    await nextMessage(child)
    const load = new LoadProcess(child)
    // On the server's own core it would take the server's time.
    if (pinned) await load.run({ do: 'spin' })
    return load
  }

  async run(command: LoadCommand): Promise<LoadSample> {
    const answer = await ask<{ sample?: LoadSample; error?: string }>(this.#child, command)
    if (answer.sample === undefined) throw new Error(`load generator: ${answer.error}`)
    return answer.sample
  }

  delay(): number {
    return usageOf(this.#child.pid as number)?.delay ?? 0
  }

  stop(): Promise<void> {
    return end(this.#child)
  }
}
