import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Member } from './crowd-process.ts'

export type { Member } from './crowd-process.ts'

export interface CrowdOptions {
  /** A WebSocket URL. */
  url: string
  count: number
  token?: string
  /** Send messages to /ws/json all the time. */
  busy?: boolean
}

/** Many WebSocket clients in a process of their own. It ends with the test. */
export class Crowd {
  /** What became of them, once all have closed. */
  readonly members: Promise<Member[]>
  readonly #child: ChildProcess

  /** Resolves once all are connected. */
  static async join(t: { teardown(fn: () => unknown): void }, options: CrowdOptions): Promise<Crowd> {
    const child = fork(
      fileURLToPath(new URL('crowd-process.ts', import.meta.url)),
      [JSON.stringify({ busy: false, ...options })],
      {
        execArgv: [`--import=${new URL('../../scripts/typescript.js', import.meta.url)}`],
        env: { PATH: process.env.PATH }
      }
    )
    t.teardown(() => child.kill('SIGKILL'))
    const [message] = await Promise.race([
      once(child, 'message'),
      once(child, 'exit').then(([code]) => {
        throw new Error(`the crowd ended with ${code}`)
      })
    ])
    if (message !== 'joined') throw new Error(`the crowd said ${JSON.stringify(message)}`)
    return new Crowd(child)
  }

  private constructor(child: ChildProcess) {
    this.#child = child
    this.members = once(child, 'message').then(([members]) => members as Member[])
  }

  /** From here on they read, answer and send nothing, and their connections stay. */
  stop(): void {
    this.#child.kill('SIGSTOP')
  }
}
