import { WebSocket } from 'ws'

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
  cut(): void
  close(): void
  /** For HTTP: the members `session` and `node` of the answer to `connect`, before anything is sent. */
  identify?(session: object): void
}

// Milliseconds that a server has to answer a close frame.
const CLOSE_TIMEOUT = 3_000
const DONE = 1000

export function openWebSocket({ url, protocols, headers }: Endpoint, listener: WireListener): Wire {
  const settings = { headers, closeTimeout: CLOSE_TIMEOUT, perMessageDeflate: false, skipUTF8Validation: true }
  const socket = new WebSocket(url, [...protocols], settings)
  let ended = false
  const end = (how: WireEnd) => {
    if (!ended) listener.onEnd(how)
    ended = true
  }
  socket.on('open', () => listener.onOpen())
  socket.on('message', (data) => {
    if (!ended) listener.onMessage(data as Buffer)
  })
  socket.on('unexpected-response', (request, { statusCode }) => {
    request.destroy()
    end({ status: statusCode as number })
  })
  socket.on('error', (error: NodeJS.ErrnoException) => end({ reason: error.code ?? error.message }))
  socket.on('close', (code) => end({ code }))
  return {
    send: (data) => socket.send(data),
    pause: () => socket.pause(),
    resume: () => socket.resume(),
    cut: () => {
      ended = true
      socket.terminate()
    },
    close: () => {
      ended = true
      socket.resume()
      socket.close(DONE)
    }
  }
}
