import type { IncomingMessage } from 'node:http'
import type { createConnection, Server } from 'node:net'
import { Server as TlsServer } from 'node:tls'
import { WebSocket } from 'ws'
import { DEFAULT_TIMEOUT, within } from './deadline.ts'
import { ConnectFailedError, HandshakeRefusedError } from './errors.ts'
import { MemorySocket } from './memory-socket.ts'
import { TestSocket } from './test-socket.ts'

/** The part of a Fastify app that the harness needs. Every `FastifyInstance` over HTTP/1.1 has it. */
export interface TestableApp {
  readonly server: Server
  ready(): PromiseLike<unknown>
  listen(options: { host: string; port: number }): Promise<string>
}

export interface ConnectOptions {
  /** The token. It is sent as the subprotocol `bearer.<token>`, last in the list. */
  token?: string | undefined
  /** The subprotocols to offer. @default ['realtime.v1'] with a token, none without */
  protocols?: readonly string[] | undefined
  /** More request headers. */
  headers?: Readonly<Record<string, string>> | undefined
  /** The `Origin` header that a browser would send. `true` means the app's own origin. @default no such header */
  origin?: string | true | undefined
  /**
   * Connect in memory instead of over a loopback socket. The app then need not listen. Node's HTTP parser, Fastify and
   * `ws` run as they do over a network, but `server.close()` does not wait for the connection.
   * @default false
   */
  memory?: boolean | undefined
  /** Milliseconds that the handshake, and each later wait on the socket, may take. @default 5_000 */
  timeout?: number | undefined
}

interface TestTarget {
  /** The URL without a path, for `ws`. */
  base: string
  /** The app's own origin, as a page of the app would send it. */
  origin: string
  createConnection?: () => MemorySocket
}

const listening = new WeakMap<TestableApp, Promise<string>>()
const open = new Map<TestSocket, TestableApp>()

/**
 * Opens a WebSocket connection to a Fastify app. If the app does not listen yet, it starts to listen on a free port of
 * 127.0.0.1.
 *
 * @param url path and query, as given to `app.inject()`
 * @throws HandshakeRefusedError (`statusCode`, `headers`, `body`) when the server answers with anything but 101
 */
export async function connect(app: TestableApp, url: string, options: ConnectOptions = {}): Promise<TestSocket> {
  const timeout = options.timeout ?? DEFAULT_TIMEOUT
  const target = options.memory === true ? await inMemory(app) : await overLoopback(app)
  const raw = new WebSocket(`${target.base}${url}`, offered(options), clientOptions(options, target, timeout))
  const socket = new TestSocket(raw, timeout)
  open.set(socket, app)
  raw.once('close', () => open.delete(socket))
  try {
    await within(timeout, 'the handshake', opened(raw))
  } catch (error) {
    raw.terminate()
    throw error
  }
  return socket
}

/**
 * Closes every connection that `connect` opened to this app, or to any app if none is given. Call it before
 * `app.close()` in a test that is not about draining: closed connections need no drain.
 */
export async function disposeAll(app?: TestableApp): Promise<void> {
  const sockets = [...open].filter(([, owner]) => app === undefined || owner === app)
  await Promise.all(sockets.map(([socket]) => socket[Symbol.asyncDispose]()))
}

function offered({ token, protocols }: ConnectOptions): string[] {
  if (token === undefined) return [...(protocols ?? [])]
  return [...(protocols ?? ['realtime.v1']), `bearer.${token}`]
}

function clientOptions(options: ConnectOptions, target: TestTarget, timeout: number): WebSocket.ClientOptions {
  return {
    headers: { ...options.headers },
    origin: options.origin === true ? target.origin : options.origin,
    // Test servers have self-signed certificates.
    rejectUnauthorized: false,
    // The types of `ws` lack this option: how long close() waits for the server before it destroys the connection.
    ...{ closeTimeout: timeout },
    // MemorySocket has all methods that http calls.
    createConnection: target.createConnection as unknown as typeof createConnection | undefined
  }
}

async function inMemory(app: TestableApp): Promise<TestTarget> {
  await app.ready()
  const secure = app.server instanceof TlsServer
  return {
    base: 'ws://localhost',
    origin: secure ? 'https://localhost' : 'http://localhost',
    createConnection: () => {
      const [client, server] = MemorySocket.pair(secure)
      app.server.emit(secure ? 'secureConnection' : 'connection', server)
      return client
    }
  }
}

async function overLoopback(app: TestableApp): Promise<TestTarget> {
  if (!app.server.listening) await listen(app)
  const address = app.server.address()
  if (address === null || typeof address === 'string') {
    return { base: `ws+unix:${address}:`, origin: 'http://localhost' }
  }
  const secure = app.server instanceof TlsServer ? 's' : ''
  const host = `${reachable(address.address)}:${address.port}`
  return { base: `ws${secure}://${host}`, origin: `http${secure}://${host}` }
}

// Two connections may be opened at once to an app that does not listen yet, but `listen` may be called only once.
function listen(app: TestableApp): Promise<string> {
  const pending = listening.get(app)
  if (pending) return pending
  const started = app.listen({ host: '127.0.0.1', port: 0 }).finally(() => listening.delete(app))
  listening.set(app, started)
  return started
}

// If an app listens on all interfaces, connect to the loopback interface.
function reachable(address: string): string {
  if (address === '0.0.0.0') return '127.0.0.1'
  if (address === '::') return '[::1]'
  return address.includes(':') ? `[${address}]` : address
}

function opened(raw: WebSocket): Promise<void> {
  return new Promise((resolve, reject) => {
    const failed = (error: Error) => reject(new ConnectFailedError(error.message, { cause: error }))
    raw.once('open', resolve)
    raw.once('error', failed)
    raw.once('unexpected-response', (_request, response) => {
      refusal(response).then(reject, failed)
    })
  })
}

async function refusal(response: IncomingMessage): Promise<HandshakeRefusedError> {
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(chunk)
  const body = Buffer.concat(chunks).toString()
  // The response to a client always has a status code. The type is optional because requests have the same type.
  return new HandshakeRefusedError(response.statusCode as number, response.headers, body)
}
