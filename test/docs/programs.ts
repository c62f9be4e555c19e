import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { root } from './pages.ts'

/* How the examples of the documentation are run: as processes of their own, with the sources in place of the package. */

export const ENTRIES: Readonly<Record<string, string>> = {
  'fastify-realtime': 'index',
  'fastify-realtime/client': 'client/index',
  'fastify-realtime/dashboard': 'dashboard/index',
  'fastify-realtime/publisher': 'publisher',
  'fastify-realtime/testing': 'testing/index'
}

/** The source with the package's files in place of its name. */
export function localized(source: string): string {
  return source.replace(
    /'(fastify-realtime[\w/-]*)'/g,
    (_, name: string) => `'${join(root, 'lib', `${ENTRIES[name]}.ts`)}'`
  )
}

/** What a command printed, with its exit code in front. */
export async function run(command: string, args: readonly string[]): Promise<string> {
  // tap loads its measuring into every child process, by NODE_OPTIONS that it puts back. tsc can't start with it.
  const child = spawn('env', ['-u', 'NODE_OPTIONS', command, ...args], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit']
  })
  const [output, [code]] = await Promise.all([text(child.stdout), once(child, 'exit')])
  return `${code} ${output}`
}

interface LogLine {
  readonly level: number
  readonly pid: number
  readonly msg: string
  readonly req?: { readonly url: string }
}

const LISTENING = /^Server listening at http:\/\/127\.0\.0\.1:(\d+)$/

/** A server that logs to its standard output, as a process of its own. It ends with the test. */
export class Program {
  readonly logs: LogLine[] = []
  readonly child: ChildProcess
  /** The exit code and the signal, once its output has ended too. */
  readonly exited: Promise<[number | null, string | null]>
  #waiters: (() => void)[] = []

  constructor(
    t: { teardown(fn: () => unknown): void },
    [file = '', ...args]: readonly string[],
    { cwd, env }: { cwd: string; env: NodeJS.ProcessEnv }
  ) {
    this.child = spawn(file, args, { cwd, env, stdio: ['ignore', 'pipe', 'inherit'] })
    this.exited = once(this.child, 'close').then(([code, signal]) => {
      this.#wake()
      return [code, signal]
    })
    createInterface(this.child.stdout as NodeJS.ReadableStream).on('line', (line) => {
      this.logs.push(JSON.parse(line))
      this.#wake()
    })
    t.teardown(async () => {
      this.child.kill('SIGKILL')
      await this.exited
    })
  }

  /** The port, and the processes that listen on it, once there are so many since the start. */
  async listening(count = 1): Promise<{ port: number; pids: number[] }> {
    for (;;) {
      const lines = this.logs.filter(({ msg }) => LISTENING.test(msg))
      if (lines.length >= count) {
        return { port: Number(LISTENING.exec((lines[0] as LogLine).msg)?.[1]), pids: lines.map(({ pid }) => pid) }
      }
      if (this.child.exitCode !== null || this.child.signalCode !== null) {
        throw new Error(`It ended before it listened: ${JSON.stringify(this.logs)}`)
      }
      await new Promise<void>((resolve) => this.#waiters.push(resolve))
    }
  }

  /** Waits until it has logged this. */
  async line(message: string): Promise<void> {
    while (this.times(message) === 0) {
      if (this.child.exitCode !== null || this.child.signalCode !== null) throw new Error(`It ended before: ${message}`)
      await new Promise<void>((resolve) => this.#waiters.push(resolve))
    }
  }

  /** How often it has logged this so far. */
  times(message: string): number {
    return this.logs.filter(({ msg }) => msg === message).length
  }

  #wake(): void {
    for (const wake of this.#waiters.splice(0)) wake()
  }
}
