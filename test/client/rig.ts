import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { mock } from 'node:test'
import { WebSocket, WebSocketServer } from 'ws'
import { type ClientEvents, type ConnectOptions, connect, type RealtimeClient } from '../../lib/client/index.ts'

type Teardown = { teardown(fn: () => unknown): void }

/** What the server does with the next handshake. */
export type Behaviour = 'accept' | 'refuse' | 'hang'

/** The server's end of one connection of the client. */
export interface Connection {
  readonly socket: WebSocket
  readonly protocols: string
  /** The positions that the client gave. */
  readonly since: unknown
  /** The messages of the client, parsed. */
  readonly received: unknown[]
  closed: { code: number } | undefined
  send(...messages: unknown[]): void
  welcome(more?: { ping?: number; queued?: boolean }): void
}

const PATIENCE = 10_000

/** Waits for what real sockets do, while the clock of the client stands. */
export async function until(condition: () => unknown, what = 'it'): Promise<void> {
  const end = performance.now() + PATIENCE
  while (!condition()) {
    if (performance.now() > end) throw new Error(`${what} did not happen`)
    await new Promise(setImmediate)
  }
}

/** Lets everything happen that needs no time. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate)
}

/**
 * A server that does with each handshake and connection what a test says, and a clock that stands. The sockets are real:
 * only `setTimeout`, `Date` and chance are the test's.
 */
export async function clientRig(t: Teardown, random = () => 0.5) {
  const handshakes: { behaviour: Behaviour; url: string }[] = []
  const connections: Connection[] = []
  const hanging: Duplex[] = []
  const state = { behaviour: 'accept' as Behaviour }
  const server = createServer()
  const sockets = new WebSocketServer({ noServer: true, handleProtocols: (protocols) => [...protocols][0] ?? false })
  server.on('upgrade', (request, stream, head) => {
    const { behaviour } = state
    handshakes.push({ behaviour, url: request.url as string })
    stream.on('error', () => undefined)
    if (behaviour === 'refuse') stream.end('HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n')
    else if (behaviour === 'hang') hanging.push(stream)
    else sockets.handleUpgrade(request, stream, head, (socket) => accept(socket, request))
  })
  const accept = (socket: WebSocket, request: IncomingMessage) => {
    const since = new URL(request.url as string, 'http://localhost').searchParams.get('since') as string
    const connection: Connection = {
      socket,
      protocols: request.headers['sec-websocket-protocol'] as string,
      since: JSON.parse(Buffer.from(since, 'base64url').toString()),
      received: [],
      closed: undefined,
      send(...messages) {
        for (const message of messages) {
          socket.send(typeof message === 'string' || Buffer.isBuffer(message) ? message : JSON.stringify(message))
        }
      },
      welcome({ ping = 25_000, queued = false } = {}) {
        connection.send({ notice: { code: 'welcome', ping, queued } })
      }
    }
    socket.on('message', (data) => connection.received.push(JSON.parse(String(data))))
    socket.on('close', (code) => {
      connection.closed = { code }
    })
    connections.push(connection)
  }
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}/live`
  standStill(t)
  const chance = mock.method(Math, 'random', random)
  const clients: RealtimeClient[] = []
  t.teardown(() => {
    for (const client of clients) client.close()
    chance.mock.restore()
    for (const socket of sockets.clients) socket.terminate()
    for (const stream of hanging) stream.destroy()
    server.closeAllConnections()
    server.close()
  })

  /** A client, and everything that it reports. */
  const start = (options: ConnectOptions = {}, address = url) => {
    const client = connect(address, { WebSocket, ...options })
    clients.push(client)
    const events: [name: string, value: unknown][] = []
    for (const name of ['open', 'message', 'publication', 'gap', 'error', 'notice', 'state', 'close'] as const) {
      client.on(name, (value: ClientEvents[typeof name]) => events.push([name, value]))
    }
    const valuesOf = (name: string) => events.filter(([one]) => one === name).map(([, value]) => value)
    pass(1)
    return { client, events, valuesOf }
  }
  /** The nth connection that the server accepted, once it has. */
  const nth = async (index: number) => {
    await until(() => connections.length > index, `connection ${index}`)
    return connections[index] as Connection
  }
  /** A client that is in. */
  const begin = async (options?: ConnectOptions, more?: { ping?: number; queued?: boolean }) => {
    const started = start(options)
    const connection = await nth(connections.length)
    connection.welcome(more)
    await until(() => started.client.state === 'open', 'open')
    return { ...started, connection }
  }
  return { url, state, handshakes, connections, start, begin, nth }
}

interface Timer {
  readonly due: number
  readonly callback: () => void
}

let now = 0
const timers = new Set<Timer>()

/**
 * Puts a clock that stands in place of `setTimeout` and `Date.now`, until the test is over. (Node's own mock removes
 * another timer if one that has fired is cleared, as a client may do.)
 */
export function standStill(t: Teardown): void {
  const { setTimeout, clearTimeout } = globalThis
  const { now: realNow } = Date
  now = 1_800_000_000_000
  timers.clear()
  Object.assign(globalThis, {
    setTimeout(callback: (...args: unknown[]) => void, milliseconds = 0, ...args: unknown[]) {
      const timer = { due: now + milliseconds, callback: () => callback(...args), unref: () => timer }
      timers.add(timer)
      return timer
    },
    clearTimeout: (timer: Timer) => void timers.delete(timer)
  })
  Date.now = () => now
  t.teardown(() => {
    Object.assign(globalThis, { setTimeout, clearTimeout })
    Date.now = realNow
  })
}

/** Lets the client's time pass, and each timer fire when it is due. */
export function pass(milliseconds: number): void {
  const end = now + milliseconds
  for (;;) {
    let next: Timer | undefined
    for (const timer of timers) if (timer.due <= end && timer.due < (next?.due ?? Infinity)) next = timer
    if (next === undefined) break
    timers.delete(next)
    now = Math.max(now, next.due)
    next.callback()
  }
  now = end
}

/** Time passes while nothing runs, as in a page that sleeps. */
export function sleep(milliseconds: number): void {
  now += milliseconds
}
