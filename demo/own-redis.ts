import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, constants, mkdtempSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'

const START_TIMEOUT = 10_000
const STOP_TIMEOUT = 3_000
const ASK_INTERVAL = 20
// If Redis dies by itself it is started again, but not in a tight loop.
const REVIVE_DELAY = 1_000
// As long as a supervisor needs to notice. With less, clients would not notice.
const KILLED_FOR = 1_000

/*
 * A shell that outlives this process by a moment. It receives each Redis's process id. When the pipe to this process
 * ends, for whatever reason, it ends the last Redis and removes its directory. An empty line says that there is no
 * Redis any more.
 */
const WATCHDOG = 'while read -r line; do pid=$line; done; test -n "$pid" && kill -9 "$pid"; rm -rf "$0"'

/** The path of `redis-server`: REDIS_SERVER_PATH, or the program on PATH. */
export function findRedisServer({ PATH = '', REDIS_SERVER_PATH }: NodeJS.ProcessEnv): string | undefined {
  const places = REDIS_SERVER_PATH
    ? [REDIS_SERVER_PATH]
    : PATH.split(delimiter).map((folder) => join(folder, 'redis-server'))
  return places.find(isExecutable)
}

/**
 * The demo's own Redis, with a temporary directory. It ends with this process. It listens on a Unix socket in that
 * directory, which only this user can open: a port without a password would be open to every user of the machine.
 */
export class OwnRedis {
  readonly #path: string
  readonly #directory = mkdtempSync(join(tmpdir(), 'whiteboard-redis-'))
  readonly #watchdog: ChildProcess
  readonly #died: () => void
  #server: ChildProcess | undefined
  #state: 'running' | 'restarting' | 'stopped' = 'running'

  /**
   * Rejects if it does not start.
   *
   * @param died Called when Redis ended by itself; it is started again.
   */
  static async start(path: string, died: () => void): Promise<OwnRedis> {
    const redis = new OwnRedis(path, died)
    try {
      await redis.#launch()
      return redis
    } catch (error) {
      await redis.stop()
      throw error
    }
  }

  private constructor(path: string, died: () => void) {
    this.#path = path
    this.#died = died
    // In a session of its own: Ctrl-C in a terminal is for this process, which ends the workers first and then Redis.
    this.#watchdog = spawn('/bin/sh', ['-c', WATCHDOG, this.#directory], {
      stdio: ['pipe', 'ignore', 'ignore'],
      detached: true
    })
    this.#watchdog.stdin?.on('error', () => undefined) // another program ended it: nothing is left to do
  }

  /** Like `unix:/tmp/whiteboard-redis-Qx3v9b/redis.sock`. */
  get url(): string {
    return `unix:${this.#socket}`
  }

  get #socket(): string {
    return join(this.#directory, 'redis.sock')
  }

  get pid(): number | undefined {
    return this.#server?.pid
  }

  /** Kills it as the kernel would, and starts it again on the same socket and directory. */
  async killAndRestart(): Promise<void> {
    this.#state = 'restarting'
    await this.#kill('SIGKILL')
    await wait(KILLED_FOR)
    try {
      await this.#launch()
    } finally {
      this.#state = 'running'
      if (this.#server === undefined || !isAlive(this.#server)) void this.#revive()
    }
  }

  /** Ends it, and leaves nothing behind. */
  async stop(): Promise<void> {
    this.#state = 'stopped'
    const hangs = setTimeout(() => this.#server?.kill('SIGKILL'), STOP_TIMEOUT)
    await this.#kill('SIGTERM')
    clearTimeout(hangs)
    if (!isAlive(this.#watchdog)) return
    const gone = once(this.#watchdog, 'exit')
    this.#watchdog.stdin?.end('\n')
    await gone
  }

  /** Resolves once it answers. */
  async #launch(): Promise<void> {
    const server = spawn(this.#path, this.#arguments(), { stdio: 'ignore', detached: true })
    this.#server = server
    const ended = once(server, 'exit').then(
      ([code, signal]) => `ended with ${code ?? signal}`,
      (error: Error) => error.message
    )
    this.#watchdog.stdin?.write(`${server.pid ?? ''}\n`)
    const fault = await Promise.race([ended, this.#answers(server)])
    if (fault !== undefined) {
      server.kill('SIGKILL')
      throw new Error(`redis-server ${fault}`)
    }
    void ended.then(() => this.#revive())
  }

  #arguments(): string[] {
    const settings = {
      port: 0,
      unixsocket: this.#socket,
      unixsocketperm: 700,
      dir: this.#directory,
      save: '',
      appendonly: 'yes',
      // Data that Redis has written before it answers survives its kill. `everysec` holds back writes while the disk is
      // busy with those of the last second. That is for machines that may lose power, and here only the process ends.
      appendfsync: 'no',
      loglevel: 'warning'
    }
    return Object.entries(settings).flatMap(([name, value]) => [`--${name}`, `${value}`])
  }

  async #answers(server: ChildProcess): Promise<string | undefined> {
    const end = performance.now() + START_TIMEOUT
    while (isAlive(server) && performance.now() < end) {
      if (await isUp(this.#socket, server.pid)) return undefined
      await wait(ASK_INTERVAL)
    }
    return 'does not answer'
  }

  async #revive(): Promise<void> {
    if (this.#state !== 'running') return
    this.#watchdog.stdin?.write('\n')
    this.#died()
    await wait(REVIVE_DELAY)
    if (this.#state !== 'running') return
    await this.#launch().catch(() => this.#revive())
  }

  async #kill(signal: NodeJS.Signals): Promise<void> {
    const server = this.#server
    if (server === undefined || !isAlive(server)) return
    const gone = once(server, 'exit')
    server.kill(signal)
    await gone
    this.#watchdog.stdin?.write('\n')
  }
}

/** Whether this process answers on the socket, and has read its file. */
function isUp(path: string, pid: number | undefined): Promise<boolean> {
  return new Promise((resolve) => {
    let answer = ''
    const socket = connect(path, () => socket.write('PING\r\nINFO server\r\n'))
    socket.setTimeout(1_000, () => socket.destroy())
    socket.on('data', (data) => {
      answer += data
      if (/process_id:\d+\r/.test(answer)) socket.destroy()
    })
    socket.on('error', () => undefined) // the same as no answer: the close that follows reports it
    socket.once('close', () => resolve(answer.startsWith('+PONG') && answer.includes(`process_id:${pid}\r`)))
  })
}

function isAlive({ pid, exitCode, signalCode }: ChildProcess): boolean {
  return pid !== undefined && exitCode === null && signalCode === null
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
