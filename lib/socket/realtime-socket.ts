import type { Duplex } from 'node:stream'
import { WebSocket } from 'ws'
import { MessagesTakenError } from '../errors.ts'
import type { Claims } from '../options.ts'
import { CLOSE, type CloseCode, truncateReason } from '../protocol/close-codes.ts'
import { dataFrame, framePayloads, textFrame } from '../protocol/frame.ts'
import {
  drainingNotice,
  type ErrorCode,
  type ErrorDetails,
  errorMessage,
  insufficientStateNotice,
  visiblePing
} from '../protocol/messages.ts'
import type {
  PublishOptions,
  PublishResult,
  SocketContext,
  SocketSettings,
  StreamPosition,
  SubscribeOptions,
  SubscribeResult
} from './context.ts'
import { Heartbeat } from './heartbeat.ts'
import { BINARY, Inbox } from './inbox.ts'
import { Outbox } from './outbox.ts'
import { stringify } from './stringify.ts'
import type { Timed } from './timer-wheel.ts'
import { AbuseWatch, TokenBucket } from './token-bucket.ts'

/** Where `ws` keeps this package's context in the options that it hands to each socket it makes. */
export const kContext = Symbol('fastify-realtime.context')

interface ReceiverOptions {
  maxPayload: number
  maxFragments: number
  maxBufferedChunks: number
}

// `ws` makes server sockets through `options.WebSocket` and hands them their stream in setSocket(), which its types
// leave out.
type ServerSocket = WebSocket & { setSocket(stream: Duplex, head: Buffer, options: ReceiverOptions): void }
const ServerSocket = WebSocket as unknown as new (address: null, protocols: undefined, options: object) => ServerSocket

/** Counts of one connection. */
export interface SocketStats {
  readonly messagesIn: number
  readonly messagesOut: number
  readonly bytesIn: number
  readonly bytesOut: number
  /** Publications dropped because the reader was slow. */
  readonly dropped: number
  /** Messages refused: rate, JSON, schema, depth. */
  readonly rejected: number
  /** Messages that wait for the handler. */
  readonly queued: number
  /** Milliseconds since the connection opened. */
  readonly age: number
}

type SendOptions = { mask?: boolean; binary?: boolean; compress?: boolean; fin?: boolean }
type SendCallback = (error?: Error) => void

// Copied into a frame and joined with others up to this; larger payloads are written where they lie.
const COPY_LIMIT = 16_384
// A peer that does not answer a close, or does not take it, is given this long.
const OVERFLOW_GRACE = 1_000
// Pings and pongs have a bucket of their own: a route without a message limit is not open to a flood of them.
const CONTROL_RATE = { rate: 100, burst: 200 }

// Who has paused reading.
const BY_USER = 1
const BY_RATE = 2
const BY_INBOX = 4

// The close code that ws answered a peer's fault with (RFC 6455 section 7.4.1), by the code of its error.
const FAULT_CODES: Readonly<Record<string, CloseCode>> = {
  WS_ERR_UNSUPPORTED_MESSAGE_LENGTH: CLOSE.tooLarge,
  WS_ERR_UNSUPPORTED_DATA_PAYLOAD_LENGTH: CLOSE.tooLarge,
  WS_ERR_TOO_MANY_BUFFERED_PARTS: CLOSE.policyViolation,
  WS_ERR_INVALID_UTF8: CLOSE.invalidUtf8
}

/** A WebSocket connection of this server: all of `ws`'s API, hardened, and what `docs/sockets.md` adds to it. */
export class RealtimeSocket<Message = unknown> extends ServerSocket implements Timed {
  readonly #context: SocketContext
  #settings!: SocketSettings
  #outbox!: Outbox
  #inbox: Inbox | undefined
  #heartbeat!: Heartbeat
  #bucket: TokenBucket | undefined
  #controlBucket: TokenBucket | undefined
  #abuse: AbuseWatch | undefined
  #abort: AbortController | undefined
  #ended = false
  #draining = false
  #taken = false
  #pauses = 0
  #resumeTimer: Timed | undefined
  #openedAt = 0
  #expiresAt = Number.POSITIVE_INFINITY
  #terminateAt = Number.POSITIVE_INFINITY
  #sentCode: number | undefined
  #messagesIn = 0
  #bytesIn = 0
  #rejected = 0
  #sentAtLastPing = 0
  /** @internal */
  wheelTick = -1
  /** @internal Settles once the handler of an `app.ws` route has returned. */
  handled: Promise<void> | undefined

  /** @internal `ws` calls this. */
  constructor(address: null, protocols: undefined, options: { [kContext]?: SocketContext }) {
    super(address, protocols, options)
    this.#context = options[kContext] as SocketContext
  }

  /** @internal `ws` calls this with the stream, once the 101 is written. */
  override setSocket(stream: Duplex, head: Buffer, options: ReceiverOptions): void {
    const { wheel, turn, random, observer } = this.#context
    const settings = this.#context.settingsOf(stream)
    const { limits, kind } = settings
    const now = wheel.now()
    this.#settings = settings
    this.#openedAt = now
    this.#expiresAt = settings.expiresAt
    this.#outbox = new Outbox(stream, turn, limits.buffered, this)
    this.#heartbeat = new Heartbeat(settings.heartbeat, now, random())
    if (limits.messages !== false) this.#bucket = new TokenBucket(limits.messages, now)
    if (kind === 'messages') this.#inbox = this.#makeInbox(settings)
    const { maxPayload, maxFragments, maxBufferedChunks } = limits
    super.setSocket(stream, head, { ...options, maxPayload, maxFragments, maxBufferedChunks })
    if (this.extensions !== '') this.#outbox.detour = (chunk) => this.#sendPayloads(chunk)
    if (kind === 'refused') return
    wheel.set(this, Math.min(this.#heartbeat.first, this.#expiresAt))
    observer.opened(this)
  }

  #makeInbox({ limits, validator }: SocketSettings): Inbox {
    return new Inbox(
      { maxQueue: limits.maxQueue, maxDepth: limits.maxDepth, validator },
      {
        sendText: (text) => this.sendText(text),
        pause: () => this.#pause(BY_INBOX),
        resume: () => this.#resume(BY_INBOX),
        rejected: (code, cause) => {
          if (cause !== undefined) this.#settings.log.error({ err: cause }, 'message validator failed')
          this.#reject(code)
        }
      }
    )
  }

  /** The connection's id, unique over all nodes. */
  get id(): string {
    return this.#settings.id
  }

  /** The verified claims, or null on a route with `auth: false`. */
  get user(): Claims | null {
    return this.#settings.user
  }

  /** Milliseconds between the last answered ping and its pong; undefined before the first. */
  get roundTripTime(): number | undefined {
    return this.#heartbeat.roundTripTime
  }

  /** Aborts when the socket closes or the node starts to drain. */
  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController()
      if (this.#ended) this.#abort.abort()
    }
    return this.#abort.signal
  }

  get stats(): SocketStats {
    const { messages, bytes, dropped } = this.#outbox
    return {
      messagesIn: this.#messagesIn,
      messagesOut: messages,
      bytesIn: this.#bytesIn,
      bytesOut: bytes,
      dropped,
      rejected: this.#rejected,
      queued: this.#inbox?.length ?? 0,
      age: this.#context.wheel.now() - this.#openedAt
    }
  }

  static {
    // An accessor in ws, but a property in its types, which no accessor may override.
    Object.defineProperty(RealtimeSocket.prototype, 'bufferedAmount', {
      get(this: RealtimeSocket): number {
        return (Reflect.get(WebSocket.prototype, 'bufferedAmount', this) as number) + this.#outbox.waiting
      }
    })
  }

  /**
   * The messages of an `app.ws` route, parsed and validated, in order; ends when the connection does or the node
   * drains, after what has arrived was handed out. One loop at a time: throws `FST_RT_MESSAGES_TAKEN`.
   */
  messages(): AsyncIterableIterator<Message> {
    const inbox = this.#inbox
    if (inbox === undefined || (this.#taken && inbox.running)) throw new MessagesTakenError()
    this.#taken = true
    inbox.running = true
    return inbox as AsyncIterableIterator<Message>
  }

  /** Sends a value as JSON. Throws `FST_RT_INVALID_DATA` where it can't be written (a cycle, a BigInt, a function). */
  sendJson(value: unknown): void {
    this.sendText(stringify(value))
  }

  /**
   * Subscribes to a channel: its publications arrive as `{"channel":…,"data":…}`. With `since`, what was published
   * after that position is delivered first. Rejects with `FST_RT_INVALID_CHANNEL`, `FST_RT_SUBSCRIPTION_LIMIT`,
   * `FST_RT_SOCKET_CLOSED` or `FST_RT_UNAVAILABLE`.
   */
  subscribe(channel: string, options?: SubscribeOptions): Promise<SubscribeResult> {
    return this.#context.streams.subscribe(this, channel, options)
  }

  /** Ends a subscription. Nothing of the channel is sent after this returns. */
  unsubscribe(channel: string): void {
    this.#context.streams.unsubscribe(this, channel)
  }

  /** Publishes a value, as JSON, to all subscribers on all nodes. See `app.realtime.publish`. */
  publish(channel: string, data: unknown, options?: PublishOptions): Promise<PublishResult> {
    return this.#context.streams.publish(channel, data, options)
  }

  /** As `ws`'s; small messages of one turn leave in one write. */
  override send(data: unknown, options?: SendOptions | SendCallback, callback?: SendCallback): void {
    const plain = options === undefined || (typeof options === 'object' && options.fin === undefined)
    if (plain && callback === undefined && this.readyState === WebSocket.OPEN && this.#outbox.detour === undefined) {
      const binary = (options as SendOptions | undefined)?.binary
      if (typeof data === 'string' && data.length <= COPY_LIMIT && binary !== true) {
        this.#outbox.push(textFrame(data))
        return
      }
      if (data instanceof Uint8Array && data.byteLength <= COPY_LIMIT) {
        this.#outbox.push(dataFrame(data, binary ?? true))
        return
      }
    }
    this.#sendPast(data, options, callback)
  }

  // Through ws itself: large payloads, callbacks, fragments, Blobs, compression.
  #sendPast(data: unknown, options: SendOptions | SendCallback | undefined, callback: SendCallback | undefined): void {
    const { fin } = typeof options === 'object' ? options : {}
    this.#outbox.bypass(typeof data === 'string' ? Buffer.byteLength(data) : sizeOf(data))
    // ws reads a Blob later and queues what it is given meanwhile: from here on everything takes that queue.
    if (data instanceof Blob) this.#outbox.detour ??= (chunk) => this.#sendPayloads(chunk)
    if (fin === false) this.#outbox.hold()
    super.send(data as Buffer, options as SendOptions, callback)
    if (fin === true) this.#outbox.release()
  }

  #sendPayloads(chunk: Buffer): void {
    for (const { payload, binary } of framePayloads(chunk)) super.send(payload, { binary })
  }

  override ping(...args: unknown[]): void {
    this.#outbox.flush()
    super.ping(...(args as []))
  }

  override pong(...args: unknown[]): void {
    this.#outbox.flush()
    super.pong(...(args as []))
  }

  /** As `ws`'s, after all that was sent before; a reason longer than 123 bytes is cut. */
  override close(code?: number, reason?: string | Buffer): void {
    if (code === undefined && this.#context.ignoresBareClose) return
    if (this.readyState === WebSocket.OPEN) {
      this.#outbox.finish()
      this.#sentCode = code
    }
    super.close(code, typeof reason === 'string' ? truncateReason(reason) : reason)
    // Else the answer to the close frame would never be read.
    if (this.#pauses !== 0) {
      this.#pauses = 0
      super.resume()
    }
  }

  override terminate(): void {
    this.#outbox.flush()
    super.terminate()
  }

  override pause(): void {
    this.#pause(BY_USER)
  }

  override resume(): void {
    this.#resume(BY_USER)
  }

  #pause(by: number): void {
    this.#pauses |= by
    super.pause()
  }

  #resume(by: number): void {
    this.#pauses &= ~by
    if (this.#pauses === 0) super.resume()
  }

  /** @internal What the handshake settled. */
  get settings(): SocketSettings {
    return this.#settings
  }

  /** @internal Where publications go. */
  get outbox(): Outbox {
    return this.#outbox
  }

  /** @internal Queues a text message, whatever its size; nothing where the socket is closing. */
  sendText(text: string): void {
    if (this.readyState === WebSocket.OPEN) this.send(text)
  }

  /** @internal Sends an error message. */
  sendError(code: ErrorCode, details?: ErrorDetails): void {
    this.sendText(errorMessage(code, details))
  }

  /** @internal Closes with one of our codes. */
  closeWith({ code, reason }: CloseCode): void {
    this.close(code, reason)
  }

  /** @internal The handler has returned: its connection is done. */
  finish(): void {
    this.closeWith(this.#draining ? CLOSE.restart : CLOSE.done)
  }

  /** @internal True once nothing can be sent any more. */
  get closed(): boolean {
    return this.readyState !== WebSocket.OPEN
  }

  /** @internal */
  get maxSubscriptions(): number {
    return this.#settings.limits.subscriptions
  }

  /** @internal Publications of a channel were lost to this connection for good. */
  insufficientState(channel: string, { offset, epoch }: StreamPosition): void {
    this.sendText(insufficientStateNotice(channel, offset, epoch))
  }

  /** @internal The reader took what waited for it. */
  caughtUp(): void {
    this.#context.streams.caughtUp(this)
  }

  /** @internal Moves the expiry of the token, by the wheel's clock. */
  extend(expiresAt: number): void {
    this.#expiresAt = expiresAt
    this.#context.wheel.set(this, this.#context.wheel.now())
  }

  /**
   * @internal The node drains: tell the client and the handler. Gives what to wait for before the close, and whether
   * the handler is in the middle of something.
   */
  drain(reconnectAfter: number): { handled: Promise<void> | undefined; busy: boolean } {
    if (this.#settings.kind === 'messages') this.sendText(drainingNotice(reconnectAfter))
    const busy = this.#inbox?.busy ?? false
    this.#draining = true
    this.#end()
    return { handled: this.handled, busy }
  }

  /** @internal The hard limit of what waits for a slow reader is passed. */
  overflowed(): void {
    if (this.readyState !== WebSocket.OPEN) return
    this.#settings.log.info({ connection: this.id, bytes: this.bufferedAmount }, 'slow reader closed')
    this.#outbox.close()
    this.closeWith(CLOSE.slowConsumer)
    // The close frame stands behind all that is buffered: waiting for it would keep the memory.
    this.#terminateAt = this.#context.wheel.now() + OVERFLOW_GRACE
    this.#context.wheel.set(this, this.#terminateAt)
  }

  /** @internal The wheel calls this: expiry, heartbeat, termination. */
  onDue(now: number): number {
    const { wheel, random, observer } = this.#context
    if (now >= this.#terminateAt) {
      super.terminate()
      return Number.POSITIVE_INFINITY
    }
    if (this.readyState !== WebSocket.OPEN) return this.#terminateAt
    if (now >= this.#expiresAt) {
      this.close(CLOSE.unauthorized.code, 'token expired')
      return Number.POSITIVE_INFINITY
    }
    const beat = this.#heartbeat.beat(now, random(), wheel.stalledAt, this.isPaused)
    if (beat.action === 'dead') {
      observer.heartbeatTimeout()
      this.terminate()
      return Number.POSITIVE_INFINITY
    }
    if (beat.action === 'ping') this.#ping(beat.payload)
    return Math.min(beat.next, this.#expiresAt)
  }

  #ping(payload: Buffer): void {
    const { kind, heartbeat } = this.#settings
    if (kind === 'messages' && heartbeat.visible && this.#outbox.messages === this.#sentAtLastPing) {
      this.sendText(visiblePing(Date.now()))
    }
    this.#sentAtLastPing = this.#outbox.messages
    this.ping(payload)
  }

  /** @internal Every event passes here: ours first, then the application's listeners, each guarded. */
  override emit(event: string | symbol, ...args: unknown[]): boolean {
    if (event === 'message') return this.#onMessage(args[0] as Buffer, args[1] as boolean)
    if (event === 'ping') this.#onControl()
    else if (event === 'pong') this.#onPong(args[0] as Buffer)
    else if (event === 'error') return this.#onFault(args[0] as NodeJS.ErrnoException)
    else if (event === 'close') this.#onClose(args[0] as number)
    return this.#dispatch(event, args, this.rawListeners(event))
  }

  #dispatch(event: string | symbol, args: unknown[], listeners: unknown[]): boolean {
    for (const listener of listeners) {
      try {
        const result: unknown = Reflect.apply(listener as () => unknown, this, args)
        if (result instanceof Promise) result.catch((error) => this.#listenerFailed(event, error))
      } catch (error) {
        this.#listenerFailed(event, error)
      }
    }
    return listeners.length > 0
  }

  // What a listener throws would be an uncaughtException, and end the process.
  #listenerFailed(event: string | symbol, error: unknown): void {
    this.#settings.log.error({ err: error, connection: this.id, event: String(event) }, 'socket listener failed')
    if (this.readyState === WebSocket.OPEN) this.closeWith(CLOSE.internalError)
  }

  #onMessage(data: unknown, isBinary: boolean): boolean {
    const { wheel, observer } = this.#context
    const bytes = sizeOf(data)
    this.#messagesIn++
    this.#bytesIn += bytes
    this.#heartbeat.heard()
    observer.received(bytes)
    const inbox = this.#inbox
    if (inbox === undefined) {
      this.#slowDown(wheel.now())
      return this.#dispatch('message', [data, isBinary], this.rawListeners('message'))
    }
    if (this.#overRate(wheel.now())) return true
    inbox.add(isBinary ? BINARY : (data as Buffer))
    if (this.listenerCount('message') > 0) this.#dispatch('message', [data, isBinary], this.rawListeners('message'))
    return true
  }

  /** The protocol of a raw route is unknown: it is answered with TCP backpressure, and loses nothing. */
  #slowDown(now: number): void {
    const wait = Math.max(this.#bucket?.charge(now) ?? 0, this.#userRate())
    if (wait === 0 || (this.#pauses & BY_RATE) !== 0) return
    this.#reject('rate_limited')
    this.#pause(BY_RATE)
    this.#resumeTimer ??= {
      wheelTick: -1,
      onDue: () => {
        this.#resume(BY_RATE)
        return Number.POSITIVE_INFINITY
      }
    }
    this.#context.wheel.set(this.#resumeTimer, now + wait)
  }

  #overRate(now: number): boolean {
    const retryAfter = (this.#bucket?.take(now) ?? 0) || this.#userRate()
    if (retryAfter === 0) return false
    this.#reject('rate_limited')
    this.sendError('rate_limited', { retryAfter })
    this.#watchAbuse(now)
    return true
  }

  #userRate(): number {
    const { user, limits } = this.#settings
    return user === null || limits.userMessages === false ? 0 : this.#context.userRate(user.sub, limits.userMessages)
  }

  #watchAbuse(now: number): void {
    this.#abuse ??= new AbuseWatch()
    if (this.#abuse.refused(now) && this.readyState === WebSocket.OPEN) this.closeWith(CLOSE.rateLimited)
  }

  #onControl(): void {
    const now = this.#context.wheel.now()
    this.#heartbeat.heard()
    this.#controlBucket ??= new TokenBucket(CONTROL_RATE, now)
    if (this.#controlBucket.take(now) > 0) this.#watchAbuse(now)
  }

  #onPong(payload: Buffer): void {
    const { wheel, observer } = this.#context
    if (this.#heartbeat.ponged(payload, wheel.now())) observer.roundTrip(this.#heartbeat.roundTripTime as number)
  }

  #onFault(error: NodeJS.ErrnoException): boolean {
    const code = error.code ?? ''
    // ws has answered with a close frame; its own close event will say 1006 all the same.
    if (code.startsWith('WS_ERR_')) this.#sentCode = (FAULT_CODES[code] ?? CLOSE.protocolError).code
    this.#settings.log.info({ connection: this.id, code }, 'WebSocket fault')
    // The first listener is @fastify/websocket's, whose default logs at level error and cuts off the close frame.
    this.#dispatch('error', [error], this.rawListeners('error').slice(1))
    return true
  }

  #onClose(eventCode: number): void {
    const { wheel, streams, observer } = this.#context
    wheel.delete(this)
    if (this.#resumeTimer !== undefined) wheel.delete(this.#resumeTimer)
    this.#outbox.close()
    this.#end()
    if (this.#settings.kind === 'refused') return
    streams.closed(this)
    observer.closed(this, eventCode === CLOSE.abnormal.code ? (this.#sentCode ?? eventCode) : eventCode)
  }

  #end(): void {
    this.#ended = true
    this.#inbox?.end()
    this.#abort?.abort()
  }

  #reject(reason: string): void {
    this.#rejected++
    this.#context.observer.rejected(reason)
  }
}

/** Bytes of what `ws` emits or takes. */
function sizeOf(data: unknown): number {
  if (Array.isArray(data)) return data.reduce((sum: number, part) => sum + sizeOf(part), 0)
  if (data instanceof Blob) return data.size
  return (data as { byteLength?: number } | null)?.byteLength ?? 0
}
