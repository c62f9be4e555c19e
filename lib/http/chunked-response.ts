import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { OutboxStream } from '../connection/outbox.ts'

/** The response that a connection writes to. */
export interface ResponseStream extends OutboxStream {
  readonly writableFinished: boolean
  on(event: 'error', listener: () => void): unknown
  once(event: 'close' | 'drain', listener: () => void): unknown
  end(chunk: Buffer): unknown
}

const LINE_END = '\r\n'

// What was framed last. Subscribers of a channel get the same bytes one after the other, so they are framed once.
let lastPart: Buffer | undefined
let lastChunk: Buffer = Buffer.alloc(0)

/** The bytes as one chunk (RFC 9112, section 7.1). They must not change any more. */
export function chunkOf(part: Buffer): Buffer {
  if (part === lastPart) return lastChunk
  const head = part.length.toString(16) + LINE_END
  const chunk = Buffer.allocUnsafe(head.length + part.length + LINE_END.length)
  chunk.write(head, 'latin1')
  chunk.set(part, head.length)
  chunk.write(LINE_END, head.length + part.length, 'latin1')
  lastPart = part
  lastChunk = chunk
  return chunk
}

/**
 * A response over HTTP/1.1 that is written to its socket directly. Node's response would write the head of the chunk,
 * the chunk, and its end apart, for each client anew: with 1,000 subscribers, that is a third of the CPU time.
 */
export class ChunkedResponse implements ResponseStream {
  readonly #response: ServerResponse
  readonly #socket: Socket
  #ended = false

  /**
   * @param response Its head is written.
   * @param socket That it is written to.
   */
  constructor(response: ServerResponse, socket: Socket) {
    this.#response = response
    this.#socket = socket
  }

  get writable(): boolean {
    return !this.#ended && this.#socket.writable
  }

  get writableNeedDrain(): boolean {
    return this.#socket.writableNeedDrain
  }

  get writableLength(): number {
    return this.#socket.writableLength
  }

  get writableFinished(): boolean {
    return this.#response.writableFinished
  }

  write(part: Buffer): boolean {
    return this.#socket.write(chunkOf(part))
  }

  /** Node writes the last chunk. The socket can be used for the next request. */
  end(part: Buffer): void {
    if (this.writable) this.write(part)
    this.#ended = true
    this.#response.end()
  }

  destroy(): void {
    this.#response.destroy()
  }

  on(event: 'error', listener: () => void): void {
    this.#response.on(event, listener)
  }

  once(event: 'close' | 'drain', listener: () => void): void {
    if (event === 'close') this.#response.once(event, listener)
    else this.#socket.once(event, listener)
  }
}
