import type { Duplex } from 'node:stream'
import { WebSocket } from 'ws'
import type { Outbox, WsQueue } from '../connection/outbox.ts'
import { bufferedByWs, hasReceivedClose } from '../dependencies.ts'
import { truncateReason } from '../protocol/close-codes.ts'
import { framePayloads, textFrame } from '../protocol/frame.ts'
import { type ErrorCode, type ErrorDetails, errorMessage } from '../protocol/messages.ts'
import { GuardedSocket } from './guarded-socket.ts'
import { frameOf, type SendOptions, sizeOf } from './payload.ts'

/**
 * Which side ended a connection, by sending the first close frame or by terminating it. `network` if it broke without
 * either.
 */
export type EndedBy = 'server' | 'client' | 'network'

/** Messages and bytes that were sent, and publications that were dropped because the reader was slow. */
type Sent = Pick<Outbox, 'messages' | 'bytes' | 'dropped'>

const NOTHING: Sent = { messages: 0, bytes: 0, dropped: 0 }

type SendCallback = (error?: Error) => void

/**
 * A socket whose frames leave in the order in which they were sent, whether they go through the outbox or through `ws`
 * itself. The close frame is the last.
 */
export abstract class OrderedSocket extends GuardedSocket {
  /** @internal The raw socket. */
  stream!: Duplex
  #outbox: Outbox | undefined
  #sentCode: number | undefined
  #endedBy: EndedBy | undefined

  static {
    // The types of ws declare a property, which TypeScript lets no accessor override.
    Object.defineProperty(OrderedSocket.prototype, 'bufferedAmount', {
      get(this: OrderedSocket): number {
        return this.#bufferedByWs + (this.#outbox?.waiting ?? 0)
      }
    })
  }

  /** @internal Makes the outbox of this socket. */
  abstract makeOutbox(): Outbox

  /** @internal Made on first use: a connection to which nothing was ever sent has no outbox. */
  get outbox(): Outbox {
    this.#outbox ??= this.#newOutbox()
    return this.#outbox
  }

  #newOutbox(): Outbox {
    const outbox = this.makeOutbox()
    if (this.extensions !== '') outbox.wsQueue = this.#makeWsQueue()
    if (this.closed) outbox.close()
    return outbox
  }

  /** @internal The counts of what was sent. */
  get sent(): Sent {
    return this.#outbox ?? NOTHING
  }

  /** @internal True once the socket is closing or closed: nothing can be sent any more. */
  get closed(): boolean {
    return this.readyState !== WebSocket.OPEN
  }

  /** @internal The code of the close frame that was sent. Undefined if none was sent, or without a code. */
  get sentCode(): number | undefined {
    return this.#sentCode
  }

  /** @internal Which side ended the connection. Valid once it has ended. */
  get endedBy(): EndedBy {
    return this.#endedBy ?? 'network'
  }

  /** Like `send` of `ws`. Small messages of one turn of the event loop leave in one write. */
  override send(data: unknown, options?: SendOptions | SendCallback, callback?: SendCallback): void {
    if (typeof options === 'function') {
      this.send(data, undefined, options)
      return
    }
    const guarded = callback && ((error?: Error) => void this.callListeners('send', [error], [callback]))
    if (this.closed) {
      super.send(data as Buffer, options as SendOptions, guarded)
      return
    }
    const { outbox } = this
    const { wsQueue, held } = outbox
    const direct = callback === undefined && wsQueue === undefined && !held
    const frame = direct ? frameOf(data, options) : undefined
    if (frame === undefined) this.#sendThroughWs(data, options, guarded)
    else outbox.send(frame)
  }

  // For large payloads, callbacks, fragments, Blobs and compression.
  #sendThroughWs(data: unknown, options: SendOptions | null | undefined, callback: SendCallback | undefined): void {
    const { outbox } = this
    outbox.bypass(sizeOf(data))
    // ws reads a Blob asynchronously, and queues later messages meanwhile. So all frames go through its queue from now
    // on.
    if (data instanceof Blob) outbox.wsQueue ??= this.#makeWsQueue()
    super.send(data as Buffer, options as SendOptions, callback)
    // A call without `fin: false` ends the fragmented message.
    if (options?.fin === false) outbox.hold()
    else outbox.release()
  }

  #makeWsQueue(): WsQueue {
    const buffered = () => this.#bufferedByWs
    return {
      send: (chunk) => {
        for (const { payload, binary } of framePayloads(chunk)) super.send(payload, { binary })
      },
      get buffered() {
        return buffered()
      }
    }
  }

  get #bufferedByWs(): number {
    return bufferedByWs(WebSocket, this)
  }

  /** @internal Queues a text message of any size. Does nothing if the socket is closing. */
  sendText(text: string): void {
    if (!this.closed) this.outbox.send(textFrame(text))
  }

  /** @internal Sends an error message. */
  sendError(code: ErrorCode, details?: ErrorDetails): void {
    this.sendText(errorMessage(code, details))
  }

  override ping(...args: unknown[]): void {
    this.#outbox?.flush()
    super.ping(...(args as []))
  }

  /**
   * @internal Writes a ping of the heartbeat. Many sockets share the frame; `ws` would make a new one, in two pieces,
   * for each socket. A control frame may be sent between the fragments of a message (RFC 6455 section 5.4).
   */
  sendPing(frame: Buffer): void {
    this.#outbox?.flush()
    this.stream.write(frame)
  }

  override pong(...args: unknown[]): void {
    this.#outbox?.flush()
    super.pong(...(args as []))
  }

  /** Like `close` of `ws`, after all that was sent before. A reason longer than 123 bytes is cut. */
  override close(code?: number, reason?: string | Buffer): void {
    const wasOpen = !this.closed
    if (wasOpen) {
      this.#sentCode = code
      // ws calls this method also to answer the peer's close frame.
      this.#endedBy = hasReceivedClose(this) ? 'client' : 'server'
      this.#outbox?.finish()
    }
    super.close(code, typeof reason === 'string' ? truncateReason(reason) : reason)
    // Nothing may follow the close frame (RFC 6455 section 5.5.1).
    if (wasOpen) this.#outbox?.close()
  }

  override terminate(): void {
    this.#endedBy ??= 'server'
    this.#outbox?.flush()
    super.terminate()
  }

  /** @internal The connection has ended: drops what still waits. */
  endSending(): void {
    this.#outbox?.close()
  }
}
