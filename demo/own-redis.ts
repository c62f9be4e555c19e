import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, constants, mkdtempSync } from 'node:fs'
import { type AddressInfo, connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'

// Each try asks another free port: between asking and listening somebody else may have taken it.
const TRIES = 3
const START_TIMEOUT = 10_000
const STOP_TIMEOUT = 3_000
const ASK_INTERVAL = 20
// A Redis that dies of itself is started again, but not in a tight circle.
const REVIVE_DELAY = 1_000
// As long as a supervisor takes to notice; less, and clients would not.
const KILLED_FOR = 1_000

/*
 * A shell that outlives us, by a moment: it is told each Redis's process id, and when the pipe to us ends, however we
 * do, it ends the last one and removes its directory. An empty line says that there is none any more.
 */
const WATCHDOG = 'while read -r line; do pid=$line; done; test -n "$pid" && kill -9 "$pid"; rm -rf "$0"'

/** The path of `redis-server`: REDIS_SERVER_PATH, or what is on PATH. */
export function findRedisServer({ PATH = '', REDIS_SERVER_PATH }: NodeJS.ProcessEnv): string | undefined {
  const places = REDIS_SERVER_PATH
    ? [REDIS_SERVER_PATH]
    : PATH.split(delimiter).map((folder) => join(folder, 'redis-server'))
  return places.find(isExecutable)
}

/**
 * A Redis of the demo's own, on a free port of 127.0.0.1 and with a temporary directory. It lives as long as this
 * process, and no longer.
 */
export class OwnRedis {
  readonly #path: string
  readonly #directory = mkdtempSync(join(tmpdir(), 'whiteboard-redis-'))
  readonly #watchdog: ChildProcess
  readonly #died: () => void
  #server: ChildProcess | undefined
  #port = 0
  #state: 'running' | 'restarting' | 'stopped' = 'running'

  /** @param died Is told when it ended of itself; it is started again. Rejects where it doesn't start. */
  static async start(path: string, died: () => void): Promise<OwnRedis> {
    const redis = new OwnRedis(path, died)
    for (let left = TRIES; ; left--) {
      redis.#port = await freePort()
      try {
        await redis.#launch()
        return redis
      } catch (error) {
        if (left > 1) continue
        await redis.stop()
        throw error
      }
    }
  }

  private constructor(path: string, died: () => void) {
    this.#path = path
    this.#died = died
    // In a session of its own: Ctrl-C in a terminal is for us, who end the workers first and then this.
    this.#watchdog = spawn('/bin/sh', ['-c', WATCHDOG, this.#directory], {
      stdio: ['pipe', 'ignore', 'ignore'],
      detached: true
    })
    this.#watchdog.stdin?.on('error', () => undefined) // it was ended by somebody: then there is nobody to tell
  }

  get url(): string {
    return `redis://127.0.0.1:${this.#port}`
  }

  get pid(): number | undefined {
    return this.#server?.pid
  }

  /** Kills it as the kernel would, and starts it again on the same port and directory. */
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
      bind: '127.0.0.1',
      port: this.#port,
      dir: this.#directory,
      save: '',
      appendonly: 'yes',
      // What it has written before it answers outlives its kill. With `everysec` it holds back writes while the disk
      // is busy with the last second's: that is for machines that may lose their power, and this one's end is ours.
      appendfsync: 'no',
      loglevel: 'warning'
    }
    return Object.entries(settings).flatMap(([name, value]) => [`--${name}`, `${value}`])
  }

  async #answers(server: ChildProcess): Promise<string | undefined> {
    const end = performance.now() + START_TIMEOUT
    while (isAlive(server) && performance.now() < end) {
      if (await isUp(this.#port, server.pid)) return undefined
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

/** Whether it is this process that answers on a port, and has read its file. */
function isUp(port: number, pid: number | undefined): Promise<boolean> {
  return new Promise((resolve) => {
    let answer = ''
    const socket = connect(port, '127.0.0.1', () => socket.write('PING\r\nINFO server\r\n'))
    socket.setTimeout(1_000, () => socket.destroy())
    socket.on('data', (data) => {
      answer += data
      if (/process_id:\d+\r/.test(answer)) socket.destroy()
    })
    socket.on('error', () => undefined) // as good as no answer: the close that follows says so
    socket.once('close', () => resolve(answer.startsWith('+PONG') && answer.includes(`process_id:${pid}\r`)))
  })
}

function isAlive({ pid, exitCode, signalCode }: ChildProcess): boolean {
  return pid !== undefined && exitCode === null && signalCode === null
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
