import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { WebSocket } from 'ws'

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url))

export interface ForeignNodeOptions {
  readonly redis: string
  readonly name: string
  readonly port?: number
  /** Its clocks are ten minutes ahead, and it has run for so long. */
  readonly isOld?: boolean
}

/** A process of somebody else's application (foreign-app/). It ends with the test. */
export class ForeignNode {
  readonly address: string
  readonly ended: Promise<unknown>
  readonly #child: ChildProcess

  static async start(t: { teardown(fn: () => unknown): void }, options: ForeignNodeOptions): Promise<ForeignNode> {
    const { redis, name, port = 0, isOld = false } = options
    const child = fork(here('foreign-app/server.js'), [], {
      execArgv: [
        ...(isOld ? [`--import=${here('ten-minutes.js')}`] : []),
        `--import=${here('../../scripts/typescript.js')}`
      ],
      env: { PATH: process.env.PATH, REDIS_URL: redis, NODE_NAME: name, PORT: String(port) },
      stdio: ['ignore', 'inherit', 'inherit', 'ipc']
    })
    t.teardown(() => child.kill('SIGKILL'))
    const [message] = await Promise.race([
      once(child, 'message'),
      once(child, 'exit').then(([code]) => {
        throw new Error(`the application ended with ${code}`)
      })
    ])
    return new ForeignNode(child, (message as { port: number }).port)
  }

  private constructor(child: ChildProcess, port: number) {
    this.#child = child
    this.ended = once(child, 'exit')
    this.address = `http://127.0.0.1:${port}`
  }

  get pid(): number {
    return this.#child.pid as number
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  /** Signs in, and returns the cookie. */
  async login(user: string, role?: string): Promise<string> {
    const response = await fetch(`${this.address}/api/login`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ user, role })
    })
    const [cookie = ''] = String(response.headers.get('set-cookie')).split(';')
    return cookie
  }

  /** A user in a room. Resolves once the connection is subscribed. */
  async join(t: { teardown(fn: () => unknown): void }, user: string, room: string): Promise<WebSocket> {
    const url = `${this.address.replace('http', 'ws')}/api/chat/${room}`
    const socket = new WebSocket(url, { headers: { cookie: await this.login(user), origin: this.address } })
    t.teardown(() => socket.terminate())
    socket.on('error', () => {})
    await once(socket, 'message')
    return socket
  }
}
