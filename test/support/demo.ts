import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { LogLine } from './app.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
const NODE = [process.execPath, '--import=./scripts/typescript.js', 'demo/server.ts']
const START_TIMEOUT = 100_000

export interface DemoExit {
  code: number | null
  signal: NodeJS.Signals | null
  /** Milliseconds since the process was last signalled with `end()`, or since it was started. */
  milliseconds: number
}

/** The demo as a process of its own, from its sources, on a free port of 127.0.0.1. It ends with the test. */
export class DemoProcess {
  /** Everything it logged so far. */
  readonly logs: LogLine[] = []
  /** Lines on stdout that are no JSON, and everything on stderr. */
  readonly noise: string[] = []
  readonly exited: Promise<DemoExit>
  readonly #child: ChildProcess
  #waiters: (() => void)[] = []
  #since = performance.now()
  #address = ''

  /** Starts it and waits until it listens. `shell` runs before it in the same process, like `ulimit -n 64`. */
  static async start(
    t: { teardown(fn: () => unknown): void },
    env: Record<string, string> = {},
    shell?: string,
    args: string[] = []
  ): Promise<DemoProcess> {
    const demo = DemoProcess.spawn(t, env, shell, args)
    const { msg } = await demo.line(({ msg }) => msg?.startsWith('Server listening at ') === true)
    demo.#address = (msg as string).slice('Server listening at '.length)
    return demo
  }

  /** Starts it, and doesn't wait. */
  static spawn(
    t: { teardown(fn: () => unknown): void },
    env: Record<string, string> = {},
    shell?: string,
    args: string[] = []
  ) {
    const demo = new DemoProcess(env, shell, args)
    t.teardown(() => demo.kill())
    return demo
  }

  private constructor(env: Record<string, string>, shell: string | undefined, args: string[]) {
    const demo = [...NODE, ...args]
    const command = shell === undefined ? demo : ['/bin/sh', '-c', `${shell}; exec "$@"`, 'sh', ...demo]
    const child = spawn(command[0] as string, command.slice(1), {
      cwd: root,
      env: { PATH: process.env.PATH, PORT: '0', ...env },
      stdio: ['ignore', 'pipe', 'pipe']
    })
    this.#child = child
    createInterface(child.stdout).on('line', (line) => this.#read(line))
    createInterface(child.stderr).on('line', (line) => this.noise.push(line))
    this.exited = once(child, 'close').then(([code, signal]) => {
      this.#wake()
      return { code, signal, milliseconds: performance.now() - this.#since }
    })
  }

  get pid(): number {
    return this.#child.pid as number
  }

  /** Like `http://127.0.0.1:40123`. */
  get address(): string {
    return this.#address
  }

  get port(): number {
    return Number(new URL(this.#address).port)
  }

  /** The first line of the log, past or to come, of which this holds. */
  async line(holds: (line: LogLine) => boolean): Promise<LogLine> {
    const deadline = setTimeout(() => this.kill(), START_TIMEOUT)
    try {
      for (;;) {
        const found = this.logs.find(holds)
        if (found !== undefined) return found
        if (this.#child.exitCode !== null || this.#child.signalCode !== null) break
        await new Promise<void>((resolve) => this.#waiters.push(resolve))
      }
    } finally {
      clearTimeout(deadline)
    }
    throw new Error(`the demo ended without that line: ${JSON.stringify([this.logs.slice(-5), this.noise])}`)
  }

  /** The key in the address that the demo prints for administrators. */
  async adminKey(): Promise<string> {
    const { address } = await this.line(({ msg }) => msg?.startsWith('open this address') === true)
    return new URLSearchParams(new URL(String(address)).hash.slice(1)).get('key') as string
  }

  message(msg: string): Promise<LogLine> {
    return this.line((line) => line.msg === msg)
  }

  signal(signal: NodeJS.Signals): void {
    this.#since = performance.now()
    this.#child.kill(signal)
  }

  /** Sends the signal and waits for the end. */
  end(signal: NodeJS.Signals = 'SIGTERM'): Promise<DemoExit> {
    this.signal(signal)
    return this.exited
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.exited
  }

  async token(user = 'ada', key?: string): Promise<string> {
    const response = await fetch(`${this.address}/api/token`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ user, key })
    })
    const { token } = (await response.json()) as { token: string }
    return token
  }

  #read(line: string): void {
    try {
      this.logs.push(JSON.parse(line))
    } catch {
      this.noise.push(line)
    }
    this.#wake()
  }

  #wake(): void {
    for (const wake of this.#waiters.splice(0)) wake()
  }
}
