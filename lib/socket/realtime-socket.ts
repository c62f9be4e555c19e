import type { Duplex } from 'node:stream'
import { WebSocket } from 'ws'
import { MessagesTakenError, RequestsOffError } from '../errors.ts'
import type { Claims } from '../options.ts'
import { CLOSE, type CloseCode, truncateReason } from '../protocol/close-codes.ts'
import { disconnectFor } from '../protocol/disconnect-codes.ts'
import { framePayloads, textFrame } from '../protocol/frame.ts'
import {
  drainingNotice,
  type ErrorCode,
  type ErrorDetails,
  errorMessage,
  insufficientStateNotice,
  subscribedNotice,
  takenNotice,
  unsubscribedNotice,
  visiblePing,
  welcomeNotice
} from '../protocol/messages.ts'
import { Allowance } from './allowance.ts'
import { BoundedLog } from './bounded-log.ts'
import type {
  PublishOptions,
  PublishResult,
  SocketContext,
  SocketSession,
  SocketSettings,
  StreamPosition,
  SubscribeOptions,
  SubscribeResult
} from './context.ts'
import { Farewell } from './farewell.ts'
import { guardedController } from './guarded-signal.ts'
import { GuardedSocket, type ReceiverOptions } from './guarded-socket.ts'
import { Heartbeat } from './heartbeat.ts'
import { BINARY, Inbox } from './inbox.ts'
import { Intake } from './intake.ts'
import { Linger } from './linger.ts'
import { loggable } from './loggable.ts'
import { type Detour, Outbox } from './outbox.ts'
import { frameOf, type SendOptions, sizeOf } from './payload.ts'
import { HELD_BY } from './reading.ts'
import { type RequestOptions, type RequestRules, Requests } from './requests.ts'
import type { Resumption } from './resumption.ts'
import { stringify } from './stringify.ts'
import { userKey } from './user-key.ts'

/** Where `ws` keeps this package's context in the options that it hands to each socket it makes. */
export const kContext = Symbol('fastify-realtime.context')

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

/** Who ended a connection: with a close frame of its own, or by cutting it; `network` if it broke without either. */
export type EndedBy = 'server' | 'client' | 'network'

type SendCallback = (error?: Error) => void

// A peer that is not read any more, or that does not read, is given this long to see the close frame.
const CUT_OFF_GRACE = 1_000

/** A WebSocket connection of this server: all of `ws`'s API, hardened, and what `docs/sockets.md` adds to it. */
export class RealtimeSocket<Message = unknown> extends GuardedSocket {
  readonly #context: SocketContext
  readonly #answersPings: boolean
  #settings!: SocketSettings
  #stream: Duplex | undefined
  #outbox!: Outbox
  #inbox: Inbox | undefined
  /** There if the route asks for requests. */
  #requests: Requests | undefined
  /** There if the client is one that resumes. */
  #resumption: Resumption | undefined
  #heartbeat!: Heartbeat
  #intake!: Intake
  #allowance: Allowance | undefined
  #abort: AbortController | undefined
  #ended = false
  #draining = false
  /** messages() was called: the route reads by it, and not by a listener. */
  #taken = false
  #hasSubscribed = false
  #farewell: Farewell | undefined
  #openedAt = 0
  #expiresAt = Number.POSITIVE_INFINITY
  #terminateAt = Number.POSITIVE_INFINITY
  #isCutOff = false
  #sentCode: number | undefined
  #endedBy: EndedBy | undefined
  #messagesIn = 0
  #bytesIn = 0
  #rejected = 0
  #sentAtLastPing = 0
  /** @internal */
  wheelTick = -1
  /** @internal Settles once the handler of an `app.ws` route has returned. */
  handled: Promise<void> | undefined
  /** @internal Takes the messages of a connection that speaks the channel protocol. */
  session: SocketSession | undefined
  #user: Claims | null = null

  /** @internal `ws` calls this. */
  constructor(address: null, protocols: undefined, options: { [kContext]?: SocketContext; autoPong?: boolean }) {
    // ws answers as many pings as come, and cuts off who sends sixty at once, without a close frame.
    // Options are inherited from those of the server, so a spread would lose some.
    super(address, protocols, Object.create(options, { autoPong: { value: false } }))
    this.#context = options[kContext] as SocketContext
    this.#answersPings = options.autoPong !== false
  }

  /** @internal `ws` calls this with the stream, once the 101 is written. */
  override setSocket(stream: Duplex, head: Buffer, options: ReceiverOptions): void {
    const { wheel, turn, random, observer } = this.#context
    const settings = this.#context.settingsOf(stream)
    const { limits, kind } = settings
    const now = wheel.now()
    this.#settings = settings
    this.#user = settings.user
    this.#openedAt = now
    this.#expiresAt = settings.expiresAt
    this.#outbox = new Outbox(stream, turn, limits.buffered, this)
    this.#heartbeat = new Heartbeat(settings.heartbeat, now, random())
    this.#intake = new Intake(settings, this.#context, this)
    if (kind === 'messages') this.#inbox = this.#makeInbox(settings)
    const { maxPayload, maxFragments, maxBufferedChunks } = limits
    this.#stream = stream
    super.setSocket(stream, head, { ...options, maxPayload, maxFragments, maxBufferedChunks })
    if (this.extensions !== '') this.#outbox.detour = this.#makeDetour()
    if (kind === 'refused') return
    wheel.set(this, Math.min(this.#heartbeat.first, this.#expiresAt))
    observer.opened(this)
  }

  #makeInbox({ limits, validator, log }: SocketSettings): Inbox {
    let failureLog: BoundedLog | undefined
    const logFailure = (cause: unknown) => {
      failureLog ??= new BoundedLog(log, this.#context.wheel)
      failureLog.error({ err: loggable(cause) }, 'message validator failed')
    }
    return new Inbox(
      { maxQueue: limits.maxQueue, maxBytes: limits.maxPayload, maxDepth: limits.maxDepth, validator },
      {
        sendText: (text) => this.sendText(text),
        pause: () => this.holdMessages(),
        resume: () => this.releaseMessages(),
        rejected: (code, cause) => {
          if (cause !== undefined) logFailure(cause)
          this.#reject(code)
        },
        taken: (key) => {
          if (this.#resumption !== undefined) this.sendText(takenNotice(key))
        }
      }
    )
  }

  /** @internal The handler of an `app.ws` route is about to run: what its route asked for, and its client offers. */
  begin(rules: RequestRules & { readonly queued: boolean }, resumption: Resumption | undefined): void {
    const { limits, log, heartbeat } = this.#settings
    const { queued } = rules
    const inbox = this.#inbox as Inbox
    inbox.takesKeys = queued
    if (rules.respond !== undefined || rules.requests) {
      this.#requests = new Requests(
        rules,
        {
          isClosed: () => this.closed,
          log,
          sendText: (text) => this.sendText(text),
          rejected: (code) => this.#reject(code)
        },
        this.#context.wheel,
        limits
      )
    }
    this.#resumption = resumption
    if (resumption !== undefined) this.sendText(welcomeNotice(heartbeat.interval, queued))
  }

  /** The connection's id, unique over all nodes. */
  get id(): string {
    return this.#settings.id
  }

  /** The verified claims, or null on a route with `auth: false`. */
  get user(): Claims | null {
    return this.#user
  }

  /** Milliseconds between the last answered ping and its pong; undefined before the first. */
  get roundTripTime(): number | undefined {
    return this.#heartbeat.roundTripTime
  }

  /** Aborts when the socket closes, or when its turn comes in a drain of the node. */
  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = guardedController((thrown) => this.listenerFailed('abort', thrown))
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
        return this.#bufferedByWs + this.#outbox.waiting
      }
    })
  }

  /**
   * The messages of an `app.ws` route, parsed and validated, in order; ends when the connection does or the node
   * drains, after what has arrived was handed out. One loop at a time: throws `FST_RT_MESSAGES_TAKEN`. Where a
   * `message` listener was attached before the first call, messages up to that call are the listener's alone.
   */
  messages(): AsyncIterableIterator<Message> {
    const inbox = this.#inbox
    if (inbox === undefined || inbox.running) throw new MessagesTakenError()
    this.#taken = true
    inbox.running = true
    return inbox as AsyncIterableIterator<Message>
  }

  /** Sends a value as JSON. Throws `FST_RT_INVALID_DATA` where it can't be written (a cycle, a BigInt, a function). */
  sendJson(value: unknown): void {
    this.sendText(stringify(value))
  }

  /**
   * The key of the keyed message that the loop over `messages()` is at: of one that the client queued while it was
   * away. It is the same if the client has to send the message again, so it can be an `idempotencyKey`. It belongs to
   * the user: another user's client that sends the same key gets another one here. Undefined for other messages, and on
   * routes without `queued: true`.
   */
  get messageKey(): string | undefined {
    const key = this.#inbox?.key
    return key && userKey(this.user?.sub, key)
  }

  /**
   * Asks the client, on an `app.ws` route with `requests: true`; resolves with its reply. Rejects with
   * `FST_RT_REQUEST_TIMEOUT`, `FST_RT_REQUEST_REFUSED` (the client's error is the `cause`), `FST_RT_REQUEST_LIMIT`,
   * `FST_RT_SOCKET_CLOSED` or `FST_RT_REQUESTS_OFF`.
   */
  request(data: unknown, options?: RequestOptions): Promise<unknown> {
    return this.#requests?.ask(data, options) ?? Promise.reject(new RequestsOffError())
  }

  /**
   * Subscribes to a channel: its publications arrive as `{"channel":…,"data":…}`. With `since`, what was published
   * after that position is delivered first; without it, the position that a client of `fastify-realtime/client` gave with
   * its handshake is used. With `presence`, the socket is among those who are on the channel. Rejects with
   * `FST_RT_INVALID_CHANNEL`, `FST_RT_INVALID_ARGUMENT`, `FST_RT_SUBSCRIPTION_LIMIT`,
   * `FST_RT_SOCKET_CLOSED` or `FST_RT_UNAVAILABLE`.
   */
  subscribe(channel: string, options?: SubscribeOptions): Promise<SubscribeResult> {
    this.#hasSubscribed = true
    const resumption = this.#resumption
    if (resumption?.begin(channel)) {
      return this.#resume(resumption, channel, { ...options, since: options?.since ?? resumption.take(channel) })
    }
    return this.#context.streams.subscribe(this, channel, options)
  }

  /** Its client learns where it stands, so that it can resume before the first publication. */
  async #resume(resumption: Resumption, channel: string, options: SubscribeOptions): Promise<SubscribeResult> {
    try {
      const result = await this.#context.streams.subscribe(this, channel, options)
      this.sendText(subscribedNotice(channel, result.recovered, result.offset, result.epoch))
      return result
    } catch (error) {
      resumption.end(channel)
      throw error
    }
  }

  /** Ends a subscription. Nothing of the channel is sent after this returns. */
  unsubscribe(channel: string): void {
    this.#context.streams.unsubscribe(this, channel)
    if (this.#resumption === undefined) return
    this.#resumption.end(channel)
    this.sendText(unsubscribedNotice(channel))
  }

  /** Publishes a value, as JSON, to all subscribers on all nodes. See `app.realtime.publish`. */
  publish(channel: string, data: unknown, options?: PublishOptions): Promise<PublishResult> {
    return this.#context.streams.publish(channel, data, options)
  }

  /** As `ws`'s; small messages of one turn leave in one write. */
  override send(data: unknown, options?: SendOptions | SendCallback, callback?: SendCallback): void {
    if (typeof options === 'function') {
      this.send(data, undefined, options)
      return
    }
    const guarded = callback && ((error?: Error) => void this.callListeners('send', [error], [callback]))
    if (this.readyState !== WebSocket.OPEN) {
      super.send(data as Buffer, options as SendOptions, guarded)
      return
    }
    const { detour, held } = this.#outbox
    const direct = callback === undefined && detour === undefined && !held
    const frame = direct ? frameOf(data, options) : undefined
    if (frame === undefined) this.#sendPast(data, options, guarded)
    else this.#outbox.push(frame)
  }

  // Through ws itself: large payloads, callbacks, fragments, Blobs, compression.
  #sendPast(data: unknown, options: SendOptions | null | undefined, callback: SendCallback | undefined): void {
    this.#outbox.bypass(sizeOf(data))
    // ws reads a Blob later and queues what it is given meanwhile: from here on everything takes that queue.
    if (data instanceof Blob) this.#outbox.detour ??= this.#makeDetour()
    super.send(data as Buffer, options as SendOptions, callback)
    // What is sent without `fin: false` ends the fragmented message.
    if (options?.fin === false) this.#outbox.hold()
    else this.#outbox.release()
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
    return Reflect.get(WebSocket.prototype, 'bufferedAmount', this) as number
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
    const wasOpen = this.readyState === WebSocket.OPEN
    if (wasOpen) {
      this.#sentCode = code
      // ws answers the peer's close frame by this method too. Nothing public tells that from a close of ours.
      this.#endedBy = Reflect.get(this, '_closeFrameReceived') === true ? 'client' : 'server'
      this.#outbox.finish()
    }
    super.close(code, typeof reason === 'string' ? truncateReason(reason) : reason)
    if (!wasOpen) return
    // Nothing may follow the close frame (RFC 6455 section 5.5.1), and nothing that comes now can be answered.
    this.#outbox.close()
    this.#inbox?.end()
    // Else the answer to the close frame would never be read.
    this.#intake.endReading()
    super.resume()
  }

  override terminate(): void {
    this.#endedBy ??= 'server'
    this.#outbox.flush()
    super.terminate()
  }

  override pause(): void {
    this.#intake.hold(HELD_BY.application)
  }

  override resume(): void {
    this.#intake.release(HELD_BY.application)
  }

  /** @internal */
  pauseReading(): void {
    // Else the answer to the close frame would never be read.
    if (!this.closed) super.pause()
  }

  /** @internal */
  resumeReading(): void {
    this.#heartbeat.resumed(this.#context.wheel.now())
    super.resume()
  }

  /** @internal What the handshake settled. */
  get settings(): SocketSettings {
    return this.#settings
  }

  /** @internal When its handshake came in, by the wheel's clock. */
  get begunAt(): number {
    return this.#settings.begunAt
  }

  /** @internal Where publications go. */
  get outbox(): Outbox {
    return this.#outbox
  }

  /** @internal Queues a text message, whatever its size; nothing where the socket is closing. */
  sendText(text: string): void {
    if (this.readyState === WebSocket.OPEN) this.#outbox.push(textFrame(text))
  }

  /** @internal Sends an error message. */
  sendError(code: ErrorCode, details?: ErrorDetails): void {
    this.sendText(errorMessage(code, details))
  }

  /** @internal Closes with one of our codes. */
  closeWith(close: Pick<CloseCode, 'code' | 'reason'>): void {
    const { code, reason } = this.#settings.kind === 'channels' ? disconnectFor(close) : close
    this.close(code, reason)
  }

  /** @internal True while its handler has listeners or subscriptions, but no loop that could have ended. */
  get isInUse(): boolean {
    if (this.closed || this.#draining || this.#taken) return false
    return this.#hasSubscribed || this.listenerCount('message') > 0
  }

  /** @internal The connection showed whose it is, and until when (by the wheel's clock). */
  identify(user: Claims, expiresAt: number): void {
    this.#user = user
    this.extend(expiresAt)
    this.#context.observer.identified(this)
  }

  /** @internal The application asks its session to take no more messages for now. */
  holdMessages(): void {
    this.#intake.hold(HELD_BY.inbox)
  }

  /** @internal */
  releaseMessages(): void {
    this.#intake.release(HELD_BY.inbox)
  }

  /** @internal The handler has returned: its connection is done. */
  finish(): void {
    const answered = this.#draining ? this.#requests?.answered() : undefined
    if (answered === undefined) this.closeWith(this.#draining ? CLOSE.restart : CLOSE.done)
    else void answered.then(() => this.closeWith(CLOSE.restart))
  }

  /** @internal Who ended it; of a connection that has ended. */
  get endedBy(): EndedBy {
    return this.#endedBy ?? 'network'
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
    if (this.session === undefined) this.#context.streams.caughtUp(this)
    else this.session.caughtUp()
  }

  /** @internal Moves the expiry of the token, by the wheel's clock. */
  extend(expiresAt: number): void {
    this.#expiresAt = expiresAt
    this.#context.wheel.set(this, this.#context.wheel.now())
  }

  /** @internal The node begins to drain. False if the client's protocol has no notice for that. */
  warnOfDrain(reconnectAfter: number): boolean {
    if (this.#settings.kind !== 'messages') return false
    this.sendText(drainingNotice(reconnectAfter))
    return true
  }

  /**
   * @internal The connection's turn in the drain: the handler is asked to end. Gives what to wait for before the close,
   * and whether the handler is in the middle of something.
   */
  drain(): { handled: Promise<unknown> | undefined; busy: boolean } {
    const answered = this.#requests?.answered()
    const handling = this.handled ?? this.session?.drain()
    const handled = answered === undefined ? handling : Promise.all([handling, answered])
    const busy = answered !== undefined || (this.#inbox?.busy ?? (this.session !== undefined && handled !== undefined))
    this.#draining = true
    this.#ended = true
    this.#abort?.abort()
    const inbox = this.#inbox
    if (inbox !== undefined) {
      this.#farewell = new Farewell(
        this.#context.wheel,
        (payload) => this.ping(payload),
        () => inbox.end()
      )
    }
    return { handled, busy }
  }

  /** @internal The hard limit of what waits for a slow reader is passed. */
  overflowed(): void {
    if (this.readyState !== WebSocket.OPEN) return
    this.#settings.log.info({ connection: this.id, bytes: this.bufferedAmount }, 'slow reader closed')
    this.#outbox.close()
    this.closeWith(CLOSE.slowConsumer)
    // The close frame stands behind all that is buffered: waiting for it would keep the memory.
    this.#endSoon()
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
      this.closeWith({ code: CLOSE.unauthorized.code, reason: 'token expired' })
      return Number.POSITIVE_INFINITY
    }
    const beat = this.#heartbeat.beat(now, random(), wheel.graceUntil, this.isPaused)
    if (beat.action === 'dead') {
      observer.heartbeatTimeout()
      // What no longer answers won't answer a close frame either; ws cuts it after its own timeout.
      if (this.session !== undefined) this.closeWith(CLOSE.timeout)
      else this.terminate()
      return Number.POSITIVE_INFINITY
    }
    if (beat.action === 'ping') this.#ping(beat.payload)
    return Math.min(beat.next, this.#expiresAt, this.#terminateAt)
  }

  #ping(payload: Buffer): void {
    const { kind, heartbeat } = this.#settings
    const isVisible = heartbeat.visible || this.#resumption !== undefined
    if (kind === 'messages' && isVisible && this.#outbox.messages === this.#sentAtLastPing) {
      this.sendText(visiblePing(Date.now()))
    }
    this.#sentAtLastPing = this.#outbox.messages
    if (this.session?.ping() !== true) this.ping(payload)
  }

  /** @internal Every event passes here: ours first, then the application's listeners, each guarded. */
  override emit(event: string | symbol, ...args: unknown[]): boolean {
    try {
      if (event === 'message') return this.#onMessage(args[0] as Buffer, args[1] as boolean)
      if (event === 'ping') this.#onPing(args[0] as Buffer)
      else if (event === 'pong') this.#onPong(args[0] as Buffer)
      else if (event === 'error') return this.#onFault(args[0] as NodeJS.ErrnoException)
      else if (event === 'close') this.#onClose(args[0] as number)
    } catch (error) {
      // An error of ours, which would end the process from here.
      this.listenerFailed(event, error)
    }
    return this.callListeners(event, args)
  }

  /** @internal */
  override listenerFailed(event: string | symbol, thrown: unknown): void {
    const err = loggable(thrown)
    this.#settings.log.error({ err, connection: this.id, event: String(event) }, 'socket listener failed')
    if (this.readyState === WebSocket.OPEN) this.closeWith(CLOSE.internalError)
  }

  #onMessage(data: unknown, isBinary: boolean): boolean {
    // What comes behind a flood is not looked at.
    if (this.#isCutOff) return true
    const { observer } = this.#context
    const bytes = sizeOf(data)
    this.#messagesIn++
    this.#bytesIn += bytes
    this.#heartbeat.heard()
    observer.received(bytes)
    if (this.session !== undefined) {
      this.session.receive(data as Buffer, isBinary)
      return true
    }
    const inbox = this.#inbox
    if (inbox === undefined) {
      // The protocol of such a route is unknown: it is answered with TCP backpressure, and loses nothing.
      this.#intake.charge(bytes)
      return this.callListeners('message', [data, isBinary])
    }
    const text = isBinary ? undefined : (data as Buffer)
    if (!this.#intake.takeMessage(bytes, text)) return true
    if (text !== undefined && this.#requests?.take(text)) return true
    const listeners = this.listenersFor('message')
    // A route that reads by a listener would else be paused for ever, once the queue that it doesn't read is full.
    if (this.#taken || listeners.length === 0) inbox.add(text ?? BINARY)
    return this.callListeners('message', [data, isBinary], listeners)
  }

  /** @internal One command of the session's came, of so many bytes; false if there are too many. */
  takeCommand(bytes: number): boolean {
    return this.#intake.takeCommand(bytes)
  }

  /** @internal The session's client has caused so many bytes to be sent. */
  charge(bytes: number): void {
    this.#intake.spend(bytes)
  }

  /** @internal True while there are bytes that are not paid for. */
  get indebted(): boolean {
    return this.#intake.indebted
  }

  /** @internal */
  overRate(): void {
    this.#reject('rate_limited')
  }

  /** @internal */
  tellDropped(dropped: number, retryAfter: number, only: Buffer | undefined): void {
    if (only !== undefined && this.#requests?.refuse(only, retryAfter)) return
    this.sendError('rate_limited', { retryAfter, dropped })
  }

  /** @internal */
  flooded(): void {
    if (this.readyState !== WebSocket.OPEN) return
    this.closeWith(CLOSE.rateLimited)
    this.cutOff()
  }

  /** @internal From here on the peer may send so many bytes in all, until `liftAllowance`. */
  allow(bytes: number, exceeded: () => void): void {
    this.#allowance = new Allowance(this.#stream as Duplex, bytes, exceeded)
  }

  /** @internal */
  liftAllowance(): void {
    this.#allowance?.lift()
  }

  /** @internal The session's ping was answered, or an answer came that nobody had asked for. */
  pingAnswered(): void {
    const { wheel, observer } = this.#context
    const now = wheel.now()
    if (this.#heartbeat.answered(now)) observer.roundTrip(this.#heartbeat.roundTripTime as number)
    else this.#intake.takeControl()
  }

  /** @internal The connection is closed, and nothing that its peer still sends is worth reading: it ends soon. */
  cutOff(): void {
    this.#isCutOff = true
    super.pause()
    this.#endSoon()
  }

  #endSoon(): void {
    this.#terminateAt = this.#context.wheel.now() + CUT_OFF_GRACE
    this.#context.wheel.set(this, this.#terminateAt)
  }

  #onPing(payload: Buffer): void {
    this.#heartbeat.heard()
    if (this.#intake.takeControl() && this.#answersPings && !this.closed) this.pong(payload)
  }

  #onPong(payload: Buffer): void {
    const { wheel, observer } = this.#context
    const now = wheel.now()
    if (this.#farewell?.ponged(payload)) return
    if (this.#heartbeat.ponged(payload, now)) observer.roundTrip(this.#heartbeat.roundTripTime as number)
    else this.#intake.takeControl()
  }

  #onFault(error: NodeJS.ErrnoException): boolean {
    this.#settings.log.info({ connection: this.id, code: error.code }, 'WebSocket fault')
    new Linger(this.#stream as Duplex, this.#context.wheel)
    this.callListeners('error', [error])
    return true
  }

  #onClose(eventCode: number): void {
    const { wheel, streams, observer } = this.#context
    wheel.delete(this)
    this.#intake.end()
    this.#farewell?.cancel()
    this.#outbox.close()
    this.#end()
    if (this.#settings.kind === 'refused') return
    try {
      if (this.session === undefined) streams.closed(this)
      else this.session.ended()
    } finally {
      // A drain waits for this. After a fault of the peer's ws says 1006, whatever the close frame was that it answered
      // with.
      observer.closed(this, eventCode === CLOSE.abnormal.code ? (this.#sentCode ?? eventCode) : eventCode)
    }
  }

  #end(): void {
    this.#ended = true
    this.#inbox?.end()
    this.#requests?.end()
    this.#abort?.abort()
  }

  #reject(reason: string): void {
    this.#rejected++
    this.#context.observer.rejected(reason)
  }
}
