import { createHash, randomBytes } from 'node:crypto'
import { connect as connectTcp, type Socket } from 'node:net'
import { connect as connectTls, TLSSocket } from 'node:tls'
import { clientFrame, FrameError, FrameReader, OPCODE } from './frames.ts'

/** The target of a connection, and its headers. */
export interface Endpoint {
  readonly secure: boolean
  /** An IP address: names are looked up once for all. */
  readonly address: string
  readonly port: number
  /** The header `Host`, and the name that a certificate must have. */
  readonly host: string
  readonly serverName: string
  readonly path: string
  readonly protocols: readonly string[]
  readonly origin: string | undefined
  /** The source address; undefined for the system's choice. */
  readonly localAddress: string | undefined
}

/** How a connection ended: with a close code, with the status of a refused handshake, or without either. */
export type ConnectionEnd =
  | { readonly how: 'closed'; readonly code: number }
  | { readonly how: 'refused'; readonly status: number }
  | { readonly how: 'failed'; readonly reason: string }

export interface ConnectionListener {
  onOpen(): void
  onMessage(text: string): void
  /** Called once, and nothing after it. Never called for an end that this side made with `reset`. */
  onEnd(end: ConnectionEnd): void
}

// All connections read into the same bytes: each read is handled before the next.
const SHARED = Buffer.allocUnsafeSlow(65_536)
const END_OF_HEAD = '\r\n\r\n'
const MAX_HEAD = 16_384
// One key for all: there is no proxy whose cache matters.
const KEY = randomBytes(16).toString('base64')
const ACCEPT = createHash('sha1').update(`${KEY}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
const LOST = 1006
const NO_CODE = 1005

/**
 * A WebSocket client of text messages on a bare socket. Node's and `ws`'s own cost several times as much per connection
 * and message, and a load tool cannot separate its own cost from the server's slowness.
 */
export class Connection {
  readonly #socket: Socket
  readonly #listener: ConnectionListener
  readonly #reader = new FrameReader((opcode, payload) => this.#onFrame(opcode, payload))
  #head = ''
  #isOpen = false
  #ended = false
  #code: number | undefined
  #error: string | undefined
  #closed: (() => void) | undefined

  constructor(endpoint: Endpoint, listener: ConnectionListener) {
    this.#listener = listener
    this.#socket = open(endpoint, (length) => this.#onRead(SHARED.subarray(0, length)))
    this.#socket.on('error', (error: NodeJS.ErrnoException) => {
      this.#error ??= error.code ?? error.message
    })
    this.#socket.on('close', () => this.#onClose())
    this.#socket.write(request(endpoint))
  }

  send(text: string): void {
    this.#socket.write(clientFrame(OPCODE.text, text))
  }

  /** Stops reading, until `resume`. */
  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  /** Ends it at once, and leaves no port waiting. The listener gets no more events. */
  reset(): void {
    this.#ended = true
    this.#destroy()
  }

  /** Closes it with 1000. Resolves when it is closed, or reset after this many milliseconds. */
  close(patience: number): Promise<void> {
    this.#ended = true
    if (this.#socket.destroyed) return Promise.resolve()
    this.#socket.resume()
    this.#socket.write(clientFrame(OPCODE.close, Uint8Array.of(0x03, 0xe8)))
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#destroy(), patience)
      this.#closed = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  #onRead(chunk: Buffer): boolean {
    try {
      if (this.#isOpen) this.#reader.feed(chunk)
      else this.#readHead(chunk)
    } catch (error) {
      if (!(error instanceof FrameError)) throw error
      this.#end({ how: 'failed', reason: error.message })
    }
    return true
  }

  #readHead(chunk: Buffer): void {
    const before = this.#head.length
    this.#head += chunk.toString('latin1')
    const end = this.#head.indexOf(END_OF_HEAD)
    if (end < 0) {
      if (this.#head.length > MAX_HEAD) throw new FrameError('the answer to the handshake does not end')
      return
    }
    const head = this.#head.slice(0, end)
    this.#head = ''
    const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(head)?.[1])
    if (status !== 101) {
      this.#end(status > 0 ? { how: 'refused', status } : { how: 'failed', reason: 'no WebSocket server' })
      return
    }
    if (!head.includes(ACCEPT)) throw new FrameError('wrong answer to the handshake')
    this.#isOpen = true
    this.#listener.onOpen()
    const frames = end + END_OF_HEAD.length - before
    if (frames < chunk.length) this.#reader.feed(chunk.subarray(frames))
  }

  #onFrame(opcode: number, payload: Buffer): void {
    if (opcode === OPCODE.text) {
      if (!this.#ended) this.#listener.onMessage(payload.toString())
    } else if (opcode === OPCODE.ping) {
      this.#socket.write(clientFrame(OPCODE.pong, payload))
    } else if (opcode === OPCODE.close && this.#code === undefined) {
      this.#code = payload.length >= 2 ? payload.readUInt16BE(0) : NO_CODE
      // This is the answer; the server then ends the connection (RFC 6455 section 7.1.1).
      if (!this.#ended) this.#socket.write(clientFrame(OPCODE.close, payload.subarray(0, 2)))
    }
  }

  #onClose(): void {
    this.#closed?.()
    if (this.#isOpen) this.#end({ how: 'closed', code: this.#code ?? LOST })
    else this.#end({ how: 'failed', reason: this.#error ?? 'closed during the handshake' })
  }

  #end(end: ConnectionEnd): void {
    if (this.#ended) return
    this.#ended = true
    this.#destroy()
    this.#listener.onEnd(end)
  }

  #destroy(): void {
    // Only an open TCP connection can be reset.
    if (this.#socket.connecting || this.#socket instanceof TLSSocket) this.#socket.destroy()
    else this.#socket.resetAndDestroy()
  }
}

function open(endpoint: Endpoint, callback: (length: number) => boolean): Socket {
  const { address, port, localAddress } = endpoint
  const options = {
    host: address,
    port,
    localAddress,
    noDelay: true,
    // No stream in between, and nothing allocated per read.
    onread: { buffer: SHARED, callback }
  }
  return endpoint.secure ? connectTls({ ...options, servername: endpoint.serverName }) : connectTcp(options)
}

function request({ path, host, protocols, origin }: Endpoint): string {
  const lines = [
    `GET ${path} HTTP/1.1`,
    `Host: ${host}`,
    'Upgrade: websocket',
    'Connection: Upgrade',
    `Sec-WebSocket-Key: ${KEY}`,
    'Sec-WebSocket-Version: 13'
  ]
  if (protocols.length > 0) lines.push(`Sec-WebSocket-Protocol: ${protocols.join(', ')}`)
  if (origin !== undefined) lines.push(`Origin: ${origin}`)
  return `${lines.join('\r\n')}\r\n\r\n`
}
