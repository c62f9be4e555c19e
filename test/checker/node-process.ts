import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { ServerSettings } from './server.ts'

const FILE = fileURLToPath(new URL('node.ts', import.meta.url))

/** A node of the system under test. Its port stays the same over restarts. */
export class NodeProcess {
  readonly #settings: ServerSettings
  #child: ChildProcess | undefined
  #port = 0
  #expected = true
  /** Log lines of level error and above, and ends that nobody asked for. */
  readonly faults: string[] = []
  /** Log lines of level warn. */
  readonly warnings: string[] = []

  constructor(settings: ServerSettings) {
    this.#settings = settings
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`
  }

  get port(): number {
    return this.#port
  }

  async start(): Promise<void> {
    // Coverage counts what the library's files say, not what a mutation made of them.
    const { NODE_V8_COVERAGE: _coverage, ...env } = process.env
    const settings = JSON.stringify({ ...this.#settings, port: this.#port })
    const child = fork(FILE, [settings], { stdio: ['ignore', 'pipe', 'pipe', 'ipc'], env })
    this.#child = child
    this.#expected = false
    child.stdout?.setEncoding('utf8').on('data', (text: string) => this.#logged(text))
    child.stderr?.setEncoding('utf8').on('data', (text: string) => this.#complained(text))
    child.once('exit', (code, signal) => {
      if (!this.#expected) this.faults.push(`ended with ${code ?? signal}`)
    })
    const [message] = (await Promise.race([
      once(child, 'message'),
      once(child, 'exit').then(() => {
        throw new Error(`The node did not start: ${this.faults.join('; ')}`)
      })
    ])) as [{ port: number }]
    this.#port = message.port
  }

  /** Ends it. Gives the exit code, null where a signal ended it. */
  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<number | null> {
    const child = this.#child
    this.#expected = true
    if (!child || child.exitCode !== null || child.signalCode !== null) return null
    const exit = once(child, 'exit')
    child.kill(signal)
    child.kill('SIGCONT')
    const [code] = await exit
    return code
  }

  stop(): void {
    this.#child?.kill('SIGSTOP')
  }

  continue(): void {
    this.#child?.kill('SIGCONT')
  }

  #logged(text: string): void {
    for (const line of text.split('\n')) {
      if (line === '') continue
      const isError = /"level":[56]0/.test(line)
      ;(isError ? this.faults : this.warnings).push(line)
    }
  }

  // Such as a warning of Node's about listeners that leak.
  #complained(text: string): void {
    if (!/ExperimentalWarning|--trace-warnings|npm warn/.test(text)) this.faults.push(text)
  }
}
