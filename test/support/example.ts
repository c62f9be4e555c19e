import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { Centrifuge, type Options } from 'centrifuge'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { WebSocket } from 'ws'
import { root } from '../docs/pages.ts'
import { Program } from '../docs/programs.ts'

type Teardown = { teardown(fn: () => unknown): void }

// Milliseconds. Machines that run other tests meanwhile are slow to paint, and a network that is cut shows only by
// silence, after 37.5 s.
const PATIENCE = 90_000

function command(name: string): string[] {
  return [process.execPath, '--import=./scripts/typescript.js', `demo/examples/${name}/server.ts`]
}

function environment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const { REDIS_URL: _, NODE_ENV: __, ...own } = process.env
  return { ...own, PORT: '0', ...env }
}

/** An example of demo/examples as a process of its own, from its sources, on a free port. It ends with the test. */
export class ExampleServer {
  readonly program: Program
  readonly #t: Teardown
  port = 0

  private constructor(t: Teardown, name: string, env: NodeJS.ProcessEnv) {
    this.#t = t
    this.program = new Program(t, command(name), { cwd: root, env: environment(env) })
  }

  static async start(t: Teardown, name: string, env: NodeJS.ProcessEnv = {}, processes = 1): Promise<ExampleServer> {
    const server = new ExampleServer(t, name, env)
    server.port = (await server.program.listening(processes)).port
    return server
  }

  /** Starts a server that cannot start. */
  static async fails(name: string, env: NodeJS.ProcessEnv): Promise<{ code: number | null; printed: string }> {
    const [file = '', ...args] = command(name)
    const child = spawn(file, args, { cwd: root, env: environment(env), stdio: ['ignore', 'ignore', 'pipe'] })
    const [printed, [code]] = await Promise.all([text(child.stderr), once(child, 'exit')])
    return { code, printed }
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`
  }

  /** A request with a body of JSON. */
  request(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Response> {
    const content: Record<string, string> = body === undefined ? {} : { 'content-type': 'application/json' }
    const json = body === undefined ? null : JSON.stringify(body)
    return fetch(this.url + path, { method, headers: { ...content, ...headers }, body: json })
  }

  /** Logs in, and returns the cookie of the session. */
  async login(user: string): Promise<string> {
    const response = await this.request('POST', '/login', { user, password: 'demo' })
    if (!response.ok) throw new Error(`no login for ${user}: ${response.status}`)
    return (response.headers.get('set-cookie') as string).split(';')[0] as string
  }

  /** The published client, with the headers of a browser. */
  centrifuge(headers: Record<string, string>, options: Partial<Options> = {}): Centrifuge {
    class WithHeaders extends WebSocket {
      constructor(url: string) {
        super(url, { headers })
      }
    }
    const client = new Centrifuge(`ws://127.0.0.1:${this.port}/connection/websocket`, {
      websocket: WithHeaders,
      minReconnectDelay: 20,
      maxReconnectDelay: 300,
      ...options
    })
    this.#t.teardown(() => client.disconnect())
    return client
  }

  /** What a handshake is answered: the status, or 101. */
  async handshake(path: string, headers: Record<string, string> = {}, protocols: string[] = []): Promise<number> {
    const socket = new WebSocket(`ws://127.0.0.1:${this.port}${path}`, protocols, { headers })
    socket.on('error', () => {})
    const status = await Promise.race([
      once(socket, 'unexpected-response').then(([, response]) => response.statusCode as number),
      once(socket, 'open').then(() => 101)
    ])
    socket.terminate()
    return status
  }

  /** Sends SIGTERM, and resolves with the exit code. */
  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    this.program.child.kill(signal)
    const [code] = await this.program.exited
    return code
  }
}

/** A user of an example's page: a browser context of its own. It ends with the test. */
export class Visitor {
  readonly #context: BrowserContext
  /** Errors of the pages, violations of their policy too. Connections that were lost are none. */
  readonly faults: string[] = []

  private constructor(context: BrowserContext) {
    this.#context = context
  }

  static async create(t: Teardown, browser: Browser): Promise<Visitor> {
    const context = await browser.newContext({ reducedMotion: 'reduce' })
    t.teardown(() => context.close())
    return new Visitor(context)
  }

  /** Opens a tab. The first one logs in. */
  async open(url: string, user?: string): Promise<Page> {
    const page = await this.#context.newPage()
    page.setDefaultTimeout(PATIENCE)
    page.on('pageerror', (error) => this.faults.push(String(error)))
    page.on('console', (message) => {
      const isLost = /ERR_|WebSocket connection|Failed to load resource/.test(message.text())
      if (message.type() === 'error' && !isLost) this.faults.push(message.text())
    })
    await page.goto(url)
    if (user !== undefined) {
      await page.fill('[name=user]', user)
      await page.fill('[name=password]', 'demo')
      await page.click('#login button')
    }
    await page.locator('#status', { hasText: 'connected' }).waitFor()
    return page
  }

  /** Cuts the network of all tabs until it is called again with `false`. */
  offline(isOffline: boolean): Promise<void> {
    return this.#context.setOffline(isOffline)
  }
}

/** The code with which the server refuses. */
export async function refusal(attempt: Promise<unknown>): Promise<number | undefined> {
  try {
    await attempt
  } catch (error) {
    return (error as { code: number }).code
  }
}

/** Waits until an expression holds in the page. (Playwright's own way is shut by the page's policy.) */
export async function until(page: Page, expression: string): Promise<void> {
  const found = await page.evaluate<boolean>(`new Promise((resolve) => {
    const end = performance.now() + ${PATIENCE}
    const look = () => {
      const found = ${expression}
      if (found || performance.now() > end) resolve(found)
      else requestAnimationFrame(look)
    }
    look()
  })`)
  if (!found) throw new Error(`never: ${expression}`)
}
