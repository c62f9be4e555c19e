import { once } from 'node:events'
import { type WebSocket, WebSocketServer } from 'ws'
import type { Feed } from '../../lib/load/journal.ts'
import { Journal } from '../../lib/load/journal.ts'
import type { Endpoint } from '../../lib/load/wire.ts'

interface Teardown {
  teardown(fn: () => unknown): void
}

/** The server's end of a connection of the load tool. */
export interface PeerSocket {
  readonly socket: WebSocket
  /** The path and query that it asked for. */
  readonly url: string
  /** Its next message. */
  next(): Promise<string | Buffer>
}

/** A WebSocket server whose answers the test writes. */
export class LoadPeer {
  readonly url: URL
  readonly server: WebSocketServer
  readonly #waiting: PeerSocket[] = []
  #wake: () => void = () => {}

  static async start(t: Teardown, path = '/'): Promise<LoadPeer> {
    const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
    t.teardown(() => {
      for (const socket of server.clients) socket.terminate()
      server.close()
    })
    await once(server, 'listening')
    return new LoadPeer(server, path)
  }

  private constructor(server: WebSocketServer, path: string) {
    this.server = server
    this.url = new URL(path, `ws://127.0.0.1:${(server.address() as { port: number }).port}`)
    server.on('connection', (socket, { url = '' }) => {
      const messages: (string | Buffer)[] = []
      let arrived = () => {}
      socket.on('message', (data, isBinary) => {
        messages.push(isBinary ? (data as Buffer) : String(data))
        arrived()
      })
      const next = async () => {
        while (messages.length === 0) await new Promise<void>((resolve) => (arrived = resolve))
        return messages.shift() as string | Buffer
      }
      this.#waiting.push({ socket, url, next })
      this.#wake()
    })
  }

  get endpoint(): Endpoint {
    return { url: this.url, protocols: [], headers: {} }
  }

  /** The next connection. */
  async connection(): Promise<PeerSocket> {
    while (this.#waiting.length === 0) await new Promise<void>((resolve) => (this.#wake = resolve))
    return this.#waiting.shift() as PeerSocket
  }
}

export function feed(channel = '', group = 0): Feed {
  return { group, channel, offset: 0, epoch: '', receipt: undefined }
}

/** A journal, and what a client of one feed needs. */
export function clientSetup(...feeds: Feed[]) {
  const journal = new Journal('run', performance.now())
  return { journal, feeds, isSlow: false }
}
