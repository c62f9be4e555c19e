import { connect, type Socket } from 'node:net'
import {
  CLIENT_CLOSE,
  CLIENT_PING,
  CLIENT_PONG,
  clientBytes,
  clientFrame,
  FrameCounter,
  type Question
} from './frame-counter.ts'
import { StreamCounter, type StreamForm } from './stream-counter.ts'

/** Address of a connection, and what it sends first. */
export interface Target {
  readonly port: number
  readonly path: string
  /** Given as Sec-WebSocket-Protocol. */
  readonly protocols?: string
  readonly greeting?: Greeting
  /** The connection is a request over HTTP, and its response has this form. Without one it is a WebSocket. */
  readonly form?: StreamForm | undefined
}

/** What a protocol requires before a connection can be used. */
export interface Greeting {
  /** Messages that the client sends first. Of a request over HTTP: its body. */
  readonly texts: readonly string[]
  /** The messages are bytes, given in base64. @default false */
  readonly isBinary?: boolean
  /** Messages that the server answers with, in all. */
  readonly answers: number
}

// All connections read into the same bytes, because the bytes of one read are counted before the next read.
const SHARED = Buffer.allocUnsafeSlow(262_144)
const END_OF_HEAD = Buffer.from('\r\n\r\n')

/** One client connection: a bare TCP socket with the least of WebSocket, or of HTTP, that a load needs. */
export class Connection {
  readonly opened: Promise<void>
  readonly #socket: Socket
  readonly #counter: FrameCounter | StreamCounter
  /** What the head of the server's answer must begin with. */
  readonly #expected: string
  /** Called for each read, with the number of messages that it completed. */
  readonly #received: (connection: Connection, messages: number) => void
  readonly #greeting: Greeting
  #head = ''
  #open = false
  #resolve!: () => void
  #reject!: (error: Error) => void
  #closing = false
  #resolveClosed: (() => void) | undefined
  /** Messages received since the handshake. */
  messages = 0
  /** Pings answered since the handshake. */
  pings = 0

  constructor(target: Target, received: (connection: Connection, messages: number) => void) {
    this.#received = received
    const { form, greeting = { texts: [], answers: 0 } } = target
    this.#greeting = greeting
    this.#counter =
      form === undefined ? new FrameCounter((question) => this.#answer(question)) : new StreamCounter(form)
    this.#expected = form === undefined ? 'HTTP/1.1 101' : 'HTTP/1.1 200'
    this.opened = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    this.#socket = connect({
      host: '127.0.0.1',
      port: target.port,
      noDelay: true,
      // No stream in between, and nothing allocated per read.
      onread: { buffer: SHARED, callback: (length) => this.#onRead(length) }
    })
    this.#socket.on('error', (error) => this.#reject(error))
    this.#socket.on('close', () => this.#onClose())
    this.#socket.write(form === undefined ? handshakeOf(target) : requestOf(target, form))
  }

  write(frames: Buffer): void {
    this.#socket.write(frames)
  }

  /** Ends the connection with a reset, which leaves no TIME_WAIT behind. */
  close(): void {
    this.#closing = true
    this.#socket.resetAndDestroy()
  }

  /** From now on the server may close it. Resolves when it has. */
  closed(): Promise<void> {
    this.#closing = true
    return new Promise((resolve) => {
      this.#resolveClosed = resolve
    })
  }

  // A server ends the connections of clients that no longer answer.
  #answer(question: Question): void {
    if (question === 'nothing') return
    if (question === 'close') {
      this.write(CLIENT_CLOSE)
      return
    }
    this.pings++
    if (question === 'any frame') this.write(CLIENT_PING)
    else this.write(question === 'no bytes' ? CLIENT_PONG : clientFrame(question))
  }

  #onRead(length: number): boolean {
    const at = this.#open ? 0 : this.#readHead(length)
    const messages = at < length ? this.#counter.feed(SHARED, at, length) : 0
    this.messages += messages
    if (this.#open && this.messages >= this.#greeting.answers) this.#resolve()
    this.#received(this, messages)
    return true
  }

  /** Returns where in the shared bytes the frames begin. */
  #readHead(length: number): number {
    const bytes = SHARED.subarray(0, length)
    const before = this.#head.length
    this.#head += bytes.toString('latin1')
    const end = this.#head.indexOf(END_OF_HEAD.toString())
    if (end < 0) return length
    if (this.#head.startsWith(this.#expected)) {
      this.#open = true
      this.#greet()
    } else {
      this.#closing = true
      this.#reject(new Error(`The handshake was refused: ${this.#head.slice(0, 200)}`))
    }
    this.#head = ''
    return end + END_OF_HEAD.length - before
  }

  #greet(): void {
    const { texts, isBinary } = this.#greeting
    // A request has brought them already.
    if (this.#counter instanceof StreamCounter || texts.length === 0) return
    this.write(
      Buffer.concat(texts.map((text) => (isBinary ? clientBytes(Buffer.from(text, 'base64')) : clientFrame(text))))
    )
  }

  #onClose(): void {
    this.#reject(new Error('The server closed a connection during its handshake'))
    this.#resolveClosed?.()
    // If connections are lost, the figure is wrong.
    if (this.#open && !this.#closing) throw new Error('The server closed a connection')
  }
}

function handshakeOf({ port, path, protocols }: Target): string {
  return (
    `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n' +
    `${protocols === undefined ? '' : `Sec-WebSocket-Protocol: ${protocols}\r\n`}\r\n`
  )
}

function requestOf({ port, path, greeting }: Target, form: StreamForm): Buffer {
  const { texts = [], isBinary = false } = greeting ?? {}
  const body = Buffer.concat(texts.map((text) => Buffer.from(text, isBinary ? 'base64' : 'utf8')))
  const head =
    `POST ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nContent-Length: ${body.length}\r\n` +
    `Content-Type: ${form === 'lengths' ? 'application/octet-stream' : 'application/json'}\r\n\r\n`
  return Buffer.concat([Buffer.from(head), body])
}
