import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import type { Test } from 'tap'
import { redisServerPath } from '../../scripts/requirements.ts'

/** Arguments of redis-server: `{ appendonly: 'yes' }` is `--appendonly yes`. */
export type RedisSettings = Readonly<Record<string, string | number>>

const QUIET: RedisSettings = {
  save: '',
  'repl-diskless-sync-delay': 0,
  appendonly: 'no',
  loglevel: 'warning',
  'enable-debug-command': 'yes'
}
const LISTENING_TIMEOUT = 60_000

/**
 * A real redis-server on 127.0.0.1 and a free port, with a directory of its own. It ends with the test.
 *
 * Throws at once where there is no redis-server: a test of Redis that doesn't run is a failed one.
 */
export class RedisServer {
  readonly port: number
  readonly url: string
  readonly #directory: string
  readonly #arguments: readonly string[]
  #process: ChildProcess | undefined
  #admin: Redis | undefined

  private constructor(port: number, directory: string, args: readonly string[]) {
    this.port = port
    this.url = `redis://127.0.0.1:${port}`
    this.#directory = directory
    this.#arguments = args
  }

  static async start(t: Test, settings: RedisSettings = {}, port?: number): Promise<RedisServer> {
    const listening = port ?? (await freePort())
    const directory = mkdtempSync(join(tmpdir(), 'fastify-realtime-redis-'))
    const all = { ...QUIET, ...settings, port: listening, bind: '127.0.0.1', dir: directory }
    const server = new RedisServer(listening, directory, settingArguments(all))
    t.teardown(() => server.#dispose())
    await server.restart()
    return server
  }

  /** Sentinel, on a configuration file as it wants one. */
  static async sentinel(t: Test, name: string, master: RedisServer): Promise<RedisServer> {
    const port = await freePort()
    const directory = mkdtempSync(join(tmpdir(), 'fastify-realtime-sentinel-'))
    const file = join(directory, 'sentinel.conf')
    writeFileSync(
      file,
      [
        `port ${port}`,
        'bind 127.0.0.1',
        `dir ${directory}`,
        `sentinel monitor ${name} 127.0.0.1 ${master.port} 1`,
        `sentinel down-after-milliseconds ${name} 500`,
        `sentinel failover-timeout ${name} 3000`,
        ''
      ].join('\n')
    )
    const sentinel = new RedisServer(port, directory, [file, '--sentinel'])
    t.teardown(() => sentinel.#dispose())
    await sentinel.restart()
    return sentinel
  }

  /** A client for the test's own commands. */
  get admin(): Redis {
    if (this.#admin) return this.#admin
    this.#admin = new Redis(this.url, { retryStrategy: () => 20, maxRetriesPerRequest: null })
    // It connects again for as long as the server is away; that is what the tests do to it.
    this.#admin.on('error', () => undefined)
    return this.#admin
  }

  /** Starts the process (again, on the same port and directory) and waits until it answers. */
  async restart(): Promise<void> {
    const child = spawn(redisServerPath(), this.#arguments, { stdio: 'ignore' })
    this.#process = child
    await once(child, 'spawn')
    const client = new Redis(this.url, { retryStrategy: () => 20, maxRetriesPerRequest: null, enableReadyCheck: false })
    client.on('error', () => undefined)
    const timeout = setTimeout(() => child.kill('SIGKILL'), LISTENING_TIMEOUT)
    const ended = once(child, 'exit').then(([code]) => {
      throw new Error(`redis-server ended with ${code}`)
    })
    // The server ends later, on purpose, when nobody waits for this any more.
    ended.catch(() => undefined)
    try {
      await Promise.race([client.ping().catch(unlessRefused), ended])
    } finally {
      clearTimeout(timeout)
      client.disconnect()
    }
  }

  async kill(signal: 'SIGKILL' | 'SIGTERM' = 'SIGKILL'): Promise<void> {
    const child = this.#process
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const exit = once(child, 'exit')
    child.kill(signal)
    // A stopped process minds no SIGTERM.
    child.kill('SIGCONT')
    await exit
  }

  /** Freezes it: connections stay, nothing is answered. */
  stop(): void {
    this.#process?.kill('SIGSTOP')
  }

  continue(): void {
    this.#process?.kill('SIGCONT')
  }

  /** Resolves once `INFO` has a line that matches. */
  async untilInfo(line: RegExp, section = 'replication'): Promise<void> {
    await until(async () => line.test(await this.admin.info(section)))
  }

  async #dispose(): Promise<void> {
    this.#admin?.disconnect()
    await this.kill()
    rmSync(this.#directory, { recursive: true, force: true })
  }
}

/** Three masters without replicas, slots shared out evenly. */
export async function startCluster(t: Test, settings: RedisSettings = {}): Promise<RedisServer[]> {
  const nodes = await Promise.all(
    [0, 1, 2].map(() =>
      RedisServer.start(t, {
        'cluster-enabled': 'yes',
        // A server that a busy machine leaves waiting for seconds is not given up by the others.
        'cluster-node-timeout': 15_000,
        'cluster-port': 0,
        ...settings
      })
    )
  )
  await Promise.all(
    nodes.map((node, at) => {
      const first = Math.floor((at * 16_384) / nodes.length)
      const last = Math.floor(((at + 1) * 16_384) / nodes.length) - 1
      return node.admin.call('CLUSTER', 'ADDSLOTSRANGE', first, last)
    })
  )
  const [first, ...others] = nodes as [RedisServer, ...RedisServer[]]
  await Promise.all(others.map((node) => node.admin.call('CLUSTER', 'MEET', '127.0.0.1', first.port)))
  await untilClusterIsUp(nodes)
  return nodes
}

/** Resolves once each of them answers commands and knows who has which slots. One that was started again refuses them for some seconds. */
export async function untilClusterIsUp(nodes: readonly RedisServer[]): Promise<void> {
  for (const node of nodes) {
    await until(async () => {
      const info = (await node.admin.call('CLUSTER', 'INFO')) as string
      const known = Number(/cluster_known_nodes:(\d+)/.exec(info)?.[1])
      return /cluster_state:ok/.test(info) && /cluster_slots_ok:16384/.test(info) && known >= nodes.length
    })
  }
}

/** Asks until the answer is yes: for what only a server's own clock brings about. */
export async function until(holds: () => Promise<boolean> | boolean): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 10))
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

// NOAUTH and the like are answers too.
function unlessRefused(error: Error): void {
  if (error.name !== 'ReplyError') throw error
}

function settingArguments(settings: RedisSettings): string[] {
  return Object.entries(settings).flatMap(([name, value]) => [`--${name}`, `${value}`])
}
