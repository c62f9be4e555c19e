import { connect, type Socket } from 'node:net'
import { CLIENT_CLOSE, CLIENT_PING, clientFrame, FrameCounter, type Question } from './frame-counter.ts'

/** Address of a connection, and what it sends first. */
export interface Target {
  readonly port: number
  readonly path: string
  /** Given as Sec-WebSocket-Protocol. */
  readonly protocols?: string
  readonly greeting?: Greeting
}

/** What a protocol requires before a connection can be used. */
export interface Greeting {
  /** Messages that the client sends first. */
  readonly texts: readonly string[]
  /** Messages that the server answers with, in all. */
  readonly answers: number
}

// All connections read into the same bytes, because the bytes of one read are counted before the next read.
const SHARED = Buffer.allocUnsafeSlow(262_144)
const END_OF_HEAD = Buffer.from('\r\n\r\n')

/** One client connection: a bare TCP socket with the least of WebSocket that a load needs. */
export class Connection {
  readonly opened: Promise<void>
  readonly #socket: Socket
  readonly #counter = new FrameCounter((question) => this.#answer(question))
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
    this.#greeting = target.greeting ?? { texts: [], answers: 0 }
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
    this.#socket.write(
      `GET ${target.path} HTTP/1.1\r\nHost: 127.0.0.1:${target.port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
        'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n' +
        `${target.protocols === undefined ? '' : `Sec-WebSocket-Protocol: ${target.protocols}\r\n`}\r\n`
    )
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
    this.write(question === 'any frame' ? CLIENT_PING : clientFrame(question))
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
    if (this.#head.startsWith('HTTP/1.1 101')) {
      this.#open = true
      if (this.#greeting.texts.length > 0) this.write(Buffer.concat(this.#greeting.texts.map(clientFrame)))
    } else {
      this.#closing = true
      this.#reject(new Error(`The handshake was refused: ${this.#head.slice(0, 200)}`))
    }
    this.#head = ''
    return end + END_OF_HEAD.length - before
  }

  #onClose(): void {
    this.#reject(new Error('The server closed a connection during its handshake'))
    this.#resolveClosed?.()
    // If connections are lost, the figure is wrong.
    if (this.#open && !this.#closing) throw new Error('The server closed a connection')
  }
}
