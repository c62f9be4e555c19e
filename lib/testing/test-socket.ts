import type { IncomingHttpHeaders } from 'node:http'
import type { WebSocket } from 'ws'
import { within } from './deadline.ts'
import { ConnectionClosedError, excerpt, NotOpenError, UnexpectedMessageError } from './errors.ts'

// How long disposal waits for the closing handshake before it destroys the connection, in milliseconds.
const DISPOSE_TIMEOUT = 1_000

/** A message as it was received. */
export interface RawMessage {
  data: Buffer
  isBinary: boolean
}

/** How a connection ended. */
export interface Closed {
  /** The close code. 1005 if the close frame had no code, 1006 if there was no close frame. */
  code: number
  reason: string
}

/** The options of a wait. */
export interface Wait {
  /** Milliseconds until the wait rejects. @default the `timeout` that was given to `connect` */
  timeout?: number | undefined
}

interface Waiter {
  resolve(message: RawMessage): void
  reject(error: Error): void
}

/**
 * The client's end of a connection in a test. Made by `connect()`.
 *
 * All messages after the handshake are queued, so a test can ask for them later without missing any. Every wait ends:
 * with a result, at the end of the connection, or at its deadline.
 */
export class TestSocket implements AsyncDisposable {
  /** The underlying `ws` client, for actions without a method in this class (`ping`, `pause`, fragments). */
  readonly raw: WebSocket
  readonly #timeout: number
  readonly #closed: Promise<Closed>
  readonly #queue: RawMessage[] = []
  readonly #waiters = new Set<Waiter>()
  /** The callbacks for the pongs, by the payload of their ping. */
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

  /** The subprotocol that the server selected. Empty if it selected none. */
  get protocol(): string {
    return this.raw.protocol
  }

  /** The headers of the server's 101 response. */
  get headers(): IncomingHttpHeaders {
    return this.#headers
  }

  /**
   * The next message: the parsed value if it is JSON text, any other text as a string, and binary data as a Buffer.
   *
   * @typeParam Message the type that the test expects; it is not checked, so assert on the value
   */
  async next<Message = unknown>(wait?: Wait): Promise<Message> {
    return parsed(await this.nextRaw(wait)) as Message
  }

  /** The next message as it was received. */
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
    // After its timeout, a wait must not take the next message from the queue.
    return within(wait?.timeout ?? this.#timeout, 'a message', arrival).finally(forget)
  }

  /** Resolves when the connection has ended, in any way. */
  closed(wait?: Wait): Promise<Closed> {
    return within(wait?.timeout ?? this.#timeout, 'the connection to close', this.#closed)
  }

  /**
   * Rejects if there is a message in the queue. It does not sleep, but makes two ping round trips. After these, all
   * messages have arrived that the server had sent before, and also those that it had collected in its current turn.
   * Messages that a handler sends later (after a timer, after a reply of Redis) are not covered. Instead, wait for a
   * message that comes after them.
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

  /** Starts the closing handshake, and resolves when the connection has ended. It may have ended already. */
  close(code?: number, reason?: string): Promise<Closed> {
    this.raw.close(code, reason)
    return this.#closed
  }

  /** Destroys the connection without a close frame, and resolves when it has ended. */
  terminate(): Promise<Closed> {
    this.raw.terminate()
    return this.#closed
  }

  /** The messages until the connection ends, in any way. The wait for each message has the same timeout as `next()`. */
  async *[Symbol.asyncIterator](): AsyncGenerator<unknown, void, undefined> {
    let message = await this.#nextOrEnd()
    while (message) {
      yield parsed(message)
      message = await this.#nextOrEnd()
    }
  }

  /** Closes with 1000, and destroys the connection if the server does not answer within a second. */
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
    return text // not JSON: the test checks the text itself
  }
}

function described({ data, isBinary }: RawMessage): string {
  return isBinary ? `${data.length} bytes` : excerpt(data.toString())
}
