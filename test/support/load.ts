import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { judge } from '../../lib/load/figures.ts'
import type { LoadResult } from '../../lib/load/summary.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
const NODE = [process.execPath, '--import=./scripts/typescript.js']
const PATIENCE = 60_000

export interface LoadExit {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

/** What `--json` prints. */
export type LoadReport = LoadResult & { readonly expectations: readonly ReturnType<typeof judge>[] }

export interface LoadSetup {
  readonly env?: Readonly<Record<string, string>>
  /** Runs before it in the same process, like `ulimit -n 64`. */
  readonly shell?: string
  /** A module that is loaded before it. */
  readonly before?: string
}

/** The load tool as a process of its own, from its sources. It ends with the test. */
export class LoadProcess {
  readonly exited: Promise<LoadExit>
  readonly #child: ChildProcess
  #stdout = ''
  #stderr = ''
  #waiters: (() => void)[] = []

  constructor(t: { teardown(fn: () => unknown): void }, args: readonly string[], setup: LoadSetup = {}) {
    const before = setup.before === undefined ? [] : [`--import=${setup.before}`]
    const command = [...NODE, ...before, 'lib/load/main.ts', 'load', ...args]
    if (setup.shell !== undefined) command.unshift('/bin/sh', '-c', `${setup.shell}; exec "$@"`, 'sh')
    const child = spawn(command[0] as string, command.slice(1), {
      cwd: root,
      env: { PATH: process.env.PATH, ...setup.env },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: PATIENCE,
      killSignal: 'SIGKILL'
    })
    this.#child = child
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.#stdout += text
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text
      for (const wake of this.#waiters.splice(0)) wake()
    })
    this.exited = once(child, 'close').then(([status]) => {
      for (const wake of this.#waiters.splice(0)) wake()
      return { status, stdout: this.#stdout, stderr: this.#stderr }
    })
    t.teardown(async () => {
      child.kill('SIGKILL')
      await this.exited
    })
  }

  /** Waits until it has said this on stderr. */
  async says(text: RegExp): Promise<void> {
    while (!text.test(this.#stderr)) {
      if (this.#child.exitCode !== null) throw new Error(`it ended without saying so: ${this.#stderr}`)
      await new Promise<void>((resolve) => this.#waiters.push(resolve))
    }
  }

  /** Reads nothing more of stdout, as `head` does. */
  closeStdout(): void {
    this.#child.stdout?.destroy()
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }
}

/** Runs the load tool to its end. */
export function runLoadTool(
  t: { teardown(fn: () => unknown): void },
  args: readonly string[],
  setup?: LoadSetup
): Promise<LoadExit> {
  return new LoadProcess(t, args, setup).exited
}

/** Runs it with `--json`, and reads what it printed. */
export async function measureLoad(
  t: { teardown(fn: () => unknown): void },
  args: readonly string[],
  setup?: LoadSetup
): Promise<LoadExit & { readonly report: LoadReport }> {
  const exit = await runLoadTool(t, ['--json', ...args], setup)
  try {
    return { ...exit, report: JSON.parse(exit.stdout) }
  } catch {
    throw new Error(`no JSON on stdout, status ${exit.status}: ${exit.stdout}${exit.stderr}`)
  }
}
