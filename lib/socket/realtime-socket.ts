import type { Duplex } from 'node:stream'
import { WebSocket } from 'ws'
import type { ConnectionSession, ConnectionSettings, Ending } from '../connection/connection.ts'
import type { Intake } from '../connection/intake.ts'
import { Liveness } from '../connection/liveness.ts'
import { Outbox } from '../connection/outbox.ts'
import { PAUSE_REASON } from '../connection/reading.ts'
import type { ConnectionStats } from '../connection/statistics.ts'
import type { ReceiverOptions } from '../dependencies.ts'
import type { PublishOptions, PublishResult } from '../hub/publish-options.ts'
import type { SubscribeOptions, SubscribeResult } from '../hub/subscribe-options.ts'
import { loggable } from '../input/loggable.ts'
import { stringify } from '../input/stringify.ts'
import { userKey } from '../input/user-key.ts'
import type { Claims } from '../options/options.ts'
import { CLOSE, type CloseCode } from '../protocol/close-codes.ts'
import { disconnectFor } from '../protocol/disconnect-codes.ts'
import { drainingNotice, insufficientStateNotice, welcomeNotice } from '../protocol/messages.ts'
import type { Position } from '../protocol/position.ts'
import type { SocketContext } from './context.ts'
import { GracefulClose } from './graceful-close.ts'
import type { ServerOptions } from './guarded-socket.ts'
import { LingeringClose } from './lingering-close.ts'
import { OrderedSocket } from './ordered-socket.ts'
import { NOTHING_RECEIVED, Reception, type ReceptionRules } from './reception.ts'
import type { RequestOptions } from './requests.ts'
import type { Resumption } from './resumption.ts'

/** The option of the `ws` server that holds this package's context. `ws` passes its options to each socket it makes. */
export const kContext = Symbol('fastify-realtime.context')

/** A WebSocket connection of this server: the API of `ws`, hardened, with the additions of `docs/sockets.md`. */
// It implements `Connection`, but does not declare it: `Connection` has members that are internal here, and internal
// members are not in the package's type declarations.
export class RealtimeSocket<Message = unknown> extends OrderedSocket {
  readonly #context: SocketContext
  #settings!: ConnectionSettings
  #liveness!: Liveness
  /** Made on first use, because most connections are idle. */
  #reception: Reception | undefined
  /** Undefined if the client does not resume its subscriptions. */
  #resumption: Resumption | undefined
  /** Made on first use. */
  #gracefulClose: GracefulClose | undefined
  #hasSubscribed = false
  #openedAt = 0
  #user: Claims | null = null
  /** @internal Settles once the handler of an `app.ws` route has returned. */
  handled: Promise<void> | undefined
  /** @internal Receives the messages, if the connection uses the channel protocol. */
  session: ConnectionSession | undefined

  /** @internal `ws` calls this. */
  constructor(address: null, protocols: undefined, options: ServerOptions & { [kContext]?: SocketContext }) {
    super(address, protocols, options)
    this.#context = options[kContext] as SocketContext
  }

  /** @internal `ws` calls this with the stream, once the 101 is written. */
  override setSocket(stream: Duplex, head: Buffer, options: ReceiverOptions): void {
    const context = this.#context
    const settings = context.settingsOf(stream)
    const { maxPayload, maxFragments, maxBufferedChunks } = settings.limits
    this.#settings = settings
    this.#user = settings.user
    // V8 stores a whole number in the object itself; a fraction would take extra memory.
    this.#openedAt = Math.trunc(context.wheel.now())
    this.#liveness = new Liveness(context, this)
    this.stream = stream
    super.setSocket(stream, head, { ...options, maxPayload, maxFragments, maxBufferedChunks })
    context.clients?.add(this)
    if (settings.kind === 'refused') return
    this.#liveness.start()
    context.observer.opened(this)
  }

  /** @internal */
  override makeOutbox(): Outbox {
    return new Outbox(this.stream, this.#context.turn, this.#settings.limits.buffered, this)
  }

  /** @internal The handler of an `app.ws` route is about to run. The route may have rules; the client may resume. */
  begin(rules: ReceptionRules | undefined, resumption: Resumption | undefined): void {
    if (rules !== undefined) this.reception.begin(rules, resumption !== undefined)
    this.#resumption = resumption
    if (resumption === undefined) return
    this.#liveness.showsPings = true
    this.sendText(welcomeNotice(this.#settings.heartbeat.interval, rules?.queued === true))
  }

  /** The connection's id, unique over all nodes. */
  get id(): string {
    return this.#settings.id
  }

  /** The verified claims, or null on a route with `auth: false`. */
  get user(): Claims | null {
    return this.#user
  }

  /** Milliseconds between the last answered ping and its pong. Undefined before the first. */
  get roundTripTime(): number | undefined {
    return this.#liveness.roundTripTime
  }

  /** Aborts when the socket closes, or when a drain of the node reaches it. */
  get signal(): AbortSignal {
    return this.#closing.signal
  }

  get stats(): ConnectionStats {
    const { messages: messagesOut, bytes: bytesOut, dropped } = this.sent
    const { messages: messagesIn, bytes: bytesIn, refused: rejected, queued } = this.#reception ?? NOTHING_RECEIVED
    const age = this.#context.wheel.now() - this.#openedAt
    return { messagesIn, messagesOut, bytesIn, bytesOut, dropped, rejected, queued, age }
  }

  /**
   * The messages of an `app.ws` route, parsed and validated, in order. The loop ends when the connection ends or the
   * node drains, after all messages that have arrived. Only one loop may run at a time; a second one throws
   * `FST_RT_MESSAGES_TAKEN`. If you add a `message` listener before the first call, the messages until that call go to
   * the listener only.
   */
  messages(): AsyncIterableIterator<Message> {
    return this.reception.iterate() as AsyncIterableIterator<Message>
  }

  /** Sends a value as JSON. Throws `FST_RT_INVALID_DATA` if that is not possible (a cycle, a BigInt, a function). */
  sendJson(value: unknown): void {
    this.sendText(stringify(value))
  }

  /**
   * The key of the current message of the loop over `messages()`, if the client queued that message while it was
   * offline. The key stays the same if the client has to send the message again, so you can use it as an
   * `idempotencyKey`. It differs between users, even if their clients send the same key. Undefined for other messages,
   * and on routes without `queued: true`.
   */
  get messageKey(): string | undefined {
    const key = this.#reception?.key
    return key && userKey(this.user?.sub, key)
  }

  /**
   * Sends the client a request, on an `app.ws` route with `requests: true`. Resolves with the client's reply. Rejects
   * with `FST_RT_REQUEST_TIMEOUT`, `FST_RT_REQUEST_REFUSED` (the client's error is the `cause`),
   * `FST_RT_REQUEST_LIMIT`, `FST_RT_SOCKET_CLOSED` or `FST_RT_REQUESTS_OFF`.
   */
  request(data: unknown, options?: RequestOptions): Promise<unknown> {
    return this.reception.request(data, options)
  }

  /**
   * Subscribes to a channel. The client receives its publications as `{"channel":…,"data":…}`. With `since`, the
   * publications after that position come first. Without `since`, the position is used that a client of
   * `fastify-realtime/client` sent with its handshake. With `presence`, the socket is in the channel's presence.
   * Rejects with `FST_RT_INVALID_CHANNEL`, `FST_RT_INVALID_ARGUMENT`, `FST_RT_SUBSCRIPTION_LIMIT`,
   * `FST_RT_SOCKET_CLOSED` or `FST_RT_UNAVAILABLE`.
   */
  subscribe(channel: string, options?: SubscribeOptions): Promise<SubscribeResult> {
    const { streams } = this.#context
    this.#hasSubscribed = true
    if (this.#resumption === undefined) return streams.subscribe(this, channel, options)
    return this.#resumption.subscribe(streams, this, channel, options)
  }

  /** Ends a subscription. No publication of the channel is sent after this returns. */
  unsubscribe(channel: string): void {
    this.#context.streams.unsubscribe(this, channel)
    this.#resumption?.unsubscribed(this, channel)
  }

  /** Publishes a value, as JSON, to all subscribers on all nodes. See `app.realtime.publish`. */
  publish(channel: string, data: unknown, options?: PublishOptions): Promise<PublishResult> {
    return this.#context.streams.publish(channel, data, options)
  }

  /** Like `close` of `ws`, after all that was sent before. A reason longer than 123 bytes is cut. */
  override close(code?: number, reason?: string | Buffer): void {
    const wasOpen = !this.closed
    super.close(code, reason)
    if (!wasOpen) return
    this.#reception?.close()
    // A paused socket would never read the answer to the close frame.
    super.resume()
  }

  override pause(): void {
    this.intake.pause(PAUSE_REASON.application)
  }

  override resume(): void {
    this.#reception?.intake.resume(PAUSE_REASON.application)
  }

  /** @internal */
  pauseReading(): void {
    // A paused socket would never read the answer to the close frame.
    if (!this.closed) super.pause()
  }

  /** @internal */
  resumeReading(): void {
    this.#liveness.resumed()
    super.resume()
  }

  /** @internal */
  get settings(): ConnectionSettings {
    return this.#settings
  }

  /** @internal Receives what the peer sends. */
  get reception(): Reception {
    this.#reception ??= new Reception(this.#context, this)
    return this.#reception
  }

  /** @internal Limits what the peer may send. */
  get intake(): Intake {
    return this.reception.intake
  }

  /** @internal Closes with one of our close codes. */
  closeWith(close: Pick<CloseCode, 'code' | 'reason'>): void {
    const { code, reason } = this.#settings.kind === 'channels' ? disconnectFor(close) : close
    this.close(code, reason)
  }

  /** @internal True if the handler has added listeners or subscriptions, and has never started a loop over messages. */
  get isInUse(): boolean {
    if (this.closed || this.#gracefulClose?.draining || this.#reception?.isIterated) return false
    return this.#hasSubscribed || this.listenerCount('message') > 0
  }

  /** @internal The client has shown a valid token. It expires at a time by the wheel's clock. */
  identify(user: Claims, expiresAt: number): void {
    this.#user = user
    this.extend(expiresAt)
    this.#context.observer.identified(this)
  }

  /** @internal The handler has returned: closes the connection. */
  finish(): void {
    this.#closing.finish()
  }

  /** @internal */
  get maxSubscriptions(): number {
    return this.#settings.limits.subscriptions
  }

  /** @internal The connection missed publications of a channel, and they are no longer available. */
  insufficientState(channel: string, { offset, epoch }: Position): void {
    this.sendText(insufficientStateNotice(channel, offset, epoch))
  }

  /** @internal A slow reader has read what was waiting for it. */
  caughtUp(): void {
    if (this.session === undefined) this.#context.streams.caughtUp(this)
    else this.session.caughtUp()
  }

  /** @internal Changes when the token expires, by the wheel's clock. */
  extend(expiresAt: number): void {
    this.#liveness.extend(expiresAt)
  }

  /** @internal The node begins to drain. False if the client's protocol has no notice for that. */
  warnOfDrain(reconnectAfter: number): boolean {
    if (this.#settings.kind !== 'messages') return false
    this.sendText(drainingNotice(reconnectAfter))
    return true
  }

  /** @internal The drain of the node has reached this connection: asks the handler to end. */
  drain(): Ending {
    return this.#closing.drain(this.handled ?? this.session?.drain())
  }

  get #closing(): GracefulClose {
    this.#gracefulClose ??= new GracefulClose(this, this.readyState === WebSocket.CLOSED)
    return this.#gracefulClose
  }

  /** @internal More bytes wait for a slow reader than the hard limit allows. */
  overflowed(): void {
    if (this.closed) return
    this.#settings.log.info({ connection: this.id, bytes: this.bufferedAmount }, 'slow reader closed')
    this.outbox.close()
    this.closeWith(CLOSE.slowConsumer)
    // The close frame comes after all that is buffered. To wait for its answer would keep that memory in use.
    this.#liveness.terminateSoon()
  }

  /** @internal Handles all events: first this class, then the application's listeners. Each listener is guarded. */
  override emit(event: string | symbol, ...args: unknown[]): boolean {
    try {
      if (event === 'message') {
        this.#liveness.frameReceived()
        return this.reception.receive(args[0], args[1] as boolean)
      }
      if (event === 'ping') this.#onPing(args[0] as Buffer)
      else if (event === 'pong') this.#onPong(args[0] as Buffer)
      else if (event === 'error') return this.#onFault(args[0] as NodeJS.ErrnoException)
      else if (event === 'close') this.#onClose(args[0] as number)
    } catch (error) {
      // An error in our own code. If it were thrown from here, it would end the process.
      this.listenerFailed(event, error)
    }
    return this.callListeners(event, args)
  }

  /** @internal */
  override listenerFailed(event: string | symbol, thrown: unknown): void {
    const err = loggable(thrown)
    this.#settings.log.error({ err, connection: this.id, event: String(event) }, 'socket listener failed')
    if (!this.closed) this.closeWith(CLOSE.internalError)
  }

  /** @internal The peer sent far too much. */
  flooded(): void {
    if (this.closed) return
    this.closeWith(CLOSE.rateLimited)
    this.cutOff()
  }

  /** @internal From now on the peer may send so many bytes in all, until `intake.liftAllowance()`. */
  allow(bytes: number, exceeded: () => void): void {
    this.intake.allow(this.stream, bytes, exceeded)
  }

  /** @internal A pong of the channel protocol came, the answer to a ping or an unsolicited one. */
  pingAnswered(): void {
    if (!this.#liveness.pingAnswered()) this.intake.takeControl()
  }

  /** @internal The connection is closed: reads nothing more, and ends it soon. */
  cutOff(): void {
    this.reception.ignore()
    super.pause()
    this.#liveness.terminateSoon()
  }

  #onPing(payload: Buffer): void {
    this.#liveness.frameReceived()
    if (this.intake.takeControl() && this.answersPings && !this.closed) this.pong(payload)
  }

  #onPong(payload: Buffer): void {
    if (this.#reception?.pongReceived(payload)) return
    if (!this.#liveness.pongReceived(payload)) this.intake.takeControl()
  }

  #onFault(error: NodeJS.ErrnoException): boolean {
    this.#settings.log.info({ connection: this.id, code: error.code }, 'WebSocket fault')
    new LingeringClose(this.stream, this.#context.wheel)
    this.callListeners('error', [error])
    return true
  }

  #onClose(eventCode: number): void {
    const { streams, observer, clients } = this.#context
    clients?.delete(this)
    this.#liveness.end()
    this.#reception?.end()
    this.#gracefulClose?.abort()
    this.endSending()
    if (this.#settings.kind === 'refused') return
    // ws reports 1006 if the peer sent no close frame, even if we sent one.
    const isAnswered = eventCode !== CLOSE.abnormal.code
    try {
      if (this.session === undefined) streams.closed(this)
      else this.session.ended()
    } finally {
      // A drain waits for this.
      observer.closed(this, isAnswered ? eventCode : (this.sentCode ?? eventCode), isAnswered)
    }
  }
}
