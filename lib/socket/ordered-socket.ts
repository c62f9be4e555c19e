import type { Duplex } from 'node:stream'
import { WebSocket } from 'ws'
import type { Detour, Outbox } from '../connection/outbox.ts'
import { bufferedByWs, hasReceivedClose } from '../dependencies.ts'
import { truncateReason } from '../protocol/close-codes.ts'
import { framePayloads, textFrame } from '../protocol/frame.ts'
import { type ErrorCode, type ErrorDetails, errorMessage } from '../protocol/messages.ts'
import { GuardedSocket } from './guarded-socket.ts'
import { frameOf, type SendOptions, sizeOf } from './payload.ts'

/** Who ended a connection: with a close frame of its own, or by cutting it; `network` if it broke without either. */
export type EndedBy = 'server' | 'client' | 'network'

/** Messages and bytes that were sent, and publications that were dropped because the reader was slow. */
type Sent = Pick<Outbox, 'messages' | 'bytes' | 'dropped'>

const NOTHING: Sent = { messages: 0, bytes: 0, dropped: 0 }

type SendCallback = (error?: Error) => void

/**
 * A socket whose frames leave in the order in which they were sent, whichever way each of them takes: through the
 * outbox, or through `ws` itself. The close frame is the last.
 */
export abstract class OrderedSocket extends GuardedSocket {
  /** @internal The raw socket. */
  stream!: Duplex
  #outbox: Outbox | undefined
  #sentCode: number | undefined
  #endedBy: EndedBy | undefined

  static {
    // A property by the types of ws, which no accessor may override.
    Object.defineProperty(OrderedSocket.prototype, 'bufferedAmount', {
      get(this: OrderedSocket): number {
        return this.#bufferedByWs + (this.#outbox?.waiting ?? 0)
      }
    })
  }

  /** @internal Makes the outbox of this socket. */
  abstract makeOutbox(): Outbox

  /** @internal Where publications go. It is made on first use: a connection that was never sent anything has none. */
  get outbox(): Outbox {
    this.#outbox ??= this.#newOutbox()
    return this.#outbox
  }

  #newOutbox(): Outbox {
    const outbox = this.makeOutbox()
    if (this.extensions !== '') outbox.detour = this.#makeDetour()
    if (this.closed) outbox.close()
    return outbox
  }

  /** @internal Counts what was sent. */
  get sent(): Sent {
    return this.#outbox ?? NOTHING
  }

  /** @internal True once nothing can be sent any more. */
  get closed(): boolean {
    return this.readyState !== WebSocket.OPEN
  }

  /** @internal The code of the close frame that was sent, if one was sent with a code. */
  get sentCode(): number | undefined {
    return this.#sentCode
  }

  /** @internal Who ended it; of a connection that has ended. */
  get endedBy(): EndedBy {
    return this.#endedBy ?? 'network'
  }

  /** As `ws`'s; small messages of one turn leave in one write. */
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
    const { detour, held } = outbox
    const direct = callback === undefined && detour === undefined && !held
    const frame = direct ? frameOf(data, options) : undefined
    if (frame === undefined) this.#sendPast(data, options, guarded)
    else outbox.send(frame)
  }

  // Through ws itself: large payloads, callbacks, fragments, Blobs, compression.
  #sendPast(data: unknown, options: SendOptions | null | undefined, callback: SendCallback | undefined): void {
    const { outbox } = this
    outbox.bypass(sizeOf(data))
    // ws reads a Blob later and queues what it is given meanwhile: from here on everything takes that queue.
    if (data instanceof Blob) outbox.detour ??= this.#makeDetour()
    super.send(data as Buffer, options as SendOptions, callback)
    // What is sent without `fin: false` ends the fragmented message.
    if (options?.fin === false) outbox.hold()
    else outbox.release()
  }

  #makeDetour(): Detour {
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

  /** @internal Queues a text message, whatever its size; nothing if the socket is closing. */
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
   * @internal Writes a frame of the heartbeat, which many sockets share. `ws` would make one of two pieces for each. A
   * control frame may stand between the frames of a message (RFC 6455 section 5.4).
   */
  sendPing(frame: Buffer): void {
    this.#outbox?.flush()
    this.stream.write(frame)
  }

  override pong(...args: unknown[]): void {
    this.#outbox?.flush()
    super.pong(...(args as []))
  }

  /** As `ws`'s, after all that was sent before; a reason longer than 123 bytes is cut. */
  override close(code?: number, reason?: string | Buffer): void {
    const wasOpen = !this.closed
    if (wasOpen) {
      this.#sentCode = code
      // ws answers the peer's close frame by this method too.
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

  /** @internal The connection has ended: what still waits is dropped. */
  endSending(): void {
    this.#outbox?.close()
  }
}
