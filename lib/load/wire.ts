import { WebSocket } from 'ws'

/** The server, and how to connect to it. */
export interface Endpoint {
  /** `ws:` or `wss:`, with the path and the query. */
  readonly url: URL
  readonly protocols: readonly string[]
  readonly headers: Readonly<Record<string, string>>
}

/** How a connection ended: with a close code, with the status of a refused handshake, or without either. */
export type WireEnd = { readonly code: number } | { readonly status: number } | { readonly reason: string }

export interface WireListener {
  onOpen(): void
  onMessage(data: Buffer): void
  /** Called once, and nothing after it. Never called if this side ended the connection. */
  onEnd(end: WireEnd): void
}

/** One connection, whatever the transport. */
export interface Wire {
  send(data: string | Buffer): void
  /** Stops reading, until `resume`. */
  pause(): void
  resume(): void
  /** Ends it at once. */
  cut(): void
  /** Ends it in order. */
  close(): void
}

// Milliseconds that a server has to answer a close frame.
const CLOSE_TIMEOUT = 3_000
const DONE = 1000

/** A connection over WebSocket. */
export class WebSocketWire implements Wire {
  readonly #socket: WebSocket
  readonly #listener: WireListener
  #ended = false

  constructor({ url, protocols, headers }: Endpoint, listener: WireListener) {
    this.#listener = listener
    const settings = { headers, closeTimeout: CLOSE_TIMEOUT, perMessageDeflate: false, skipUTF8Validation: true }
    const socket = new WebSocket(url, [...protocols], settings)
    this.#socket = socket
    socket.on('open', () => listener.onOpen())
    socket.on('message', (data) => {
      if (!this.#ended) listener.onMessage(data as Buffer)
    })
    socket.on('unexpected-response', (request, { statusCode }) => {
      request.destroy()
      this.#end({ status: statusCode as number })
    })
    socket.on('error', (error: NodeJS.ErrnoException) => this.#end({ reason: error.code ?? error.message }))
    socket.on('close', (code) => this.#end({ code }))
  }

  send(data: string | Buffer): void {
    this.#socket.send(data)
  }

  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  cut(): void {
    this.#ended = true
    this.#socket.terminate()
  }

  close(): void {
    this.#ended = true
    this.#socket.resume()
    this.#socket.close(DONE)
  }

  #end(end: WireEnd): void {
    if (!this.#ended) this.#listener.onEnd(end)
    this.#ended = true
  }
}
