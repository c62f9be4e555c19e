import type { IncomingHttpHeaders } from 'node:http'
import type { WebSocket } from 'ws'
import { within } from './deadline.ts'
import { ConnectionClosedError, excerpt, NotOpenError, UnexpectedMessageError } from './errors.ts'

// How long disposal waits for the closing handshake before it cuts the connection.
const DISPOSE_TIMEOUT = 1_000

/** A message as it came. */
export interface RawMessage {
  data: Buffer
  isBinary: boolean
}

/** How a connection ended. */
export interface Closed {
  /** The close code; 1005 when the close frame carried none, 1006 when there was no close frame. */
  code: number
  reason: string
}

/** How long one wait may take. */
export interface Wait {
  /** Milliseconds until the wait rejects. @default the `timeout` given to `connect` */
  timeout?: number | undefined
}

interface Waiter {
  resolve(message: RawMessage): void
  reject(error: Error): void
}

/**
 * The client's end of a connection in a test. Made by `connect()`.
 *
 * Messages queue from the first byte after the handshake on, so none is missed however late a test asks for it. Every
 * wait ends: with what it waits for, with the connection's end, or with its deadline.
 */
export class TestSocket implements AsyncDisposable {
  /** The `ws` client underneath, for what this class has no method for (`ping`, `pause`, fragments). */
  readonly raw: WebSocket
  readonly #timeout: number
  readonly #closed: Promise<Closed>
  readonly #queue: RawMessage[] = []
  readonly #waiters = new Set<Waiter>()
  /** Who waits for which ping's answer, by the ping's payload. */
  readonly #pongs = new Map<string, () => void>()
  #headers: IncomingHttpHeaders = {}
  #end: Closed | undefined
  #fault: Error | undefined
  #pings = 0

  constructor(raw: WebSocket, timeout: number) {
    this.raw = raw
    this.#timeout = timeout
    raw.once('upgrade', (response) => {
      this.#headers = response.headers
    })
    raw.on('message', (data: Buffer, isBinary) => this.#receive({ data, isBinary }))
    raw.on('pong', (payload) => this.#pongs.get(payload.toString())?.())
    raw.on('error', (error) => {
      this.#fault = error
    })
    this.#closed = new Promise((resolve) => {
      raw.once('close', (code, reason) => resolve(this.#finish({ code, reason: reason.toString() })))
    })
  }

  /** The subprotocol that the server selected; empty when it selected none. */
  get protocol(): string {
    return this.raw.protocol
  }

  /** The headers of the server's 101 response. */
  get headers(): IncomingHttpHeaders {
    return this.#headers
  }

  /**
   * The next message: the parsed value of a text that is JSON, any other text as a string, a binary one as a Buffer.
   *
   * @typeParam Message what the test takes the message for; nothing checks it, so assert on what comes
   */
  async next<Message = unknown>(wait?: Wait): Promise<Message> {
    return parsed(await this.nextRaw(wait)) as Message
  }

  /** The next message as it came. */
  nextRaw(wait?: Wait): Promise<RawMessage> {
    const message = this.#queue.shift()
    if (message) return Promise.resolve(message)
    if (this.#end) return Promise.reject(this.#closedError('a message', this.#end))
    let forget: (() => void) | undefined
    const arrival = new Promise<RawMessage>((resolve, reject) => {
      const waiter = { resolve, reject }
      this.#waiters.add(waiter)
      forget = () => this.#waiters.delete(waiter)
    })
    // A wait whose time is up must not swallow the message that comes after it.
    return within(wait?.timeout ?? this.#timeout, 'a message', arrival).finally(forget)
  }

  /** Resolves when the connection has ended, however it ended. */
  closed(wait?: Wait): Promise<Closed> {
    return within(wait?.timeout ?? this.#timeout, 'the connection to close', this.#closed)
  }

  /**
   * Rejects when a message waits. It does not sleep: it makes two ping round trips, after which everything is here that
   * the server had sent before, and everything that it had gathered for the turn it was in. What a handler sends later
   * (after a timer, after an answer from Redis) is not covered; wait for something that comes after it instead.
   */
  async expectNothing(wait?: Wait): Promise<void> {
    const timeout = wait?.timeout ?? this.#timeout
    await this.#roundTrip(timeout)
    await this.#roundTrip(timeout)
    const first = this.#queue[0]
    if (first) throw new UnexpectedMessageError(this.#queue.length, described(first))
  }

  /** Sends a value as JSON text. */
  send(value: unknown): void {
    this.sendRaw(JSON.stringify(value))
  }

  /** Sends a string as a text message, bytes as a binary one. */
  sendRaw(data: string | Uint8Array): void {
    if (this.raw.readyState !== this.raw.OPEN) throw new NotOpenError()
    this.raw.send(data)
  }

  /** Starts the closing handshake and resolves when the connection has ended. Harmless when it has ended already. */
  close(code?: number, reason?: string): Promise<Closed> {
    this.raw.close(code, reason)
    return this.#closed
  }

  /** Cuts the connection without a close frame and resolves when that is done. */
  terminate(): Promise<Closed> {
    this.raw.terminate()
    return this.#closed
  }

  /** The messages until the connection ends, however it ends. Each wait for one is bounded as `next()` is. */
  async *[Symbol.asyncIterator](): AsyncGenerator<unknown, void, undefined> {
    let message = await this.#nextOrEnd()
    while (message) {
      yield parsed(message)
      message = await this.#nextOrEnd()
    }
  }

  /** Closes with 1000, and cuts the connection when the server does not answer within a second. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.raw.close(1000)
    await within(DISPOSE_TIMEOUT, 'the connection to close', this.#closed).catch(() => this.terminate())
  }

  async #nextOrEnd(): Promise<RawMessage | undefined> {
    try {
      return await this.nextRaw()
    } catch (error) {
      if (error instanceof ConnectionClosedError) return undefined
      throw error
    }
  }

  async #roundTrip(timeout: number): Promise<void> {
    this.#pings += 1
    const payload = `fastify-realtime/testing ${this.#pings}`
    const pong = new Promise<void>((resolve) => this.#pongs.set(payload, resolve))
    const end = this.#closed.then((closed) => Promise.reject(this.#closedError('a pong', closed)))
    this.raw.ping(payload)
    await within(timeout, 'a pong', Promise.race([pong, end])).finally(() => this.#pongs.delete(payload))
  }

  #receive(message: RawMessage): void {
    const [waiter] = this.#waiters
    if (!waiter) {
      this.#queue.push(message)
      return
    }
    this.#waiters.delete(waiter)
    waiter.resolve(message)
  }

  #finish(closed: Closed): Closed {
    this.#end = closed
    for (const waiter of this.#waiters) waiter.reject(this.#closedError('a message', closed))
    return closed
  }

  #closedError(expected: string, { code, reason }: Closed): ConnectionClosedError {
    return new ConnectionClosedError(expected, code, reason, this.#fault)
  }
}

function parsed({ data, isBinary }: RawMessage): unknown {
  if (isBinary) return data
  const text = data.toString()
  try {
    return JSON.parse(text)
  } catch {
    // Not JSON: that is an answer too, and the test says what it expected.
    return text
  }
}

function described({ data, isBinary }: RawMessage): string {
  return isBinary ? `${data.length} bytes` : excerpt(data.toString())
}
