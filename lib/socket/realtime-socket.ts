import type { Duplex } from 'node:stream'
import { WebSocket } from 'ws'
import type { ConnectionSession, ConnectionSettings, Ending } from '../connection/connection.ts'
import { Outbox } from '../connection/outbox.ts'
import { HELD_BY } from '../connection/reading.ts'
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
import { Departure } from './departure.ts'
import type { ServerOptions } from './guarded-socket.ts'
import type { Intake } from './intake.ts'
import { Linger } from './linger.ts'
import { Liveness } from './liveness.ts'
import { OrderedSocket } from './ordered-socket.ts'
import { NOTHING_RECEIVED, Reception, type ReceptionRules } from './reception.ts'
import type { RequestOptions } from './requests.ts'
import type { Resumption } from './resumption.ts'

/** Where `ws` keeps this package's context in the options that it hands to each socket it makes. */
export const kContext = Symbol('fastify-realtime.context')

/** A WebSocket connection of this server: all of `ws`'s API, hardened, and what `docs/sockets.md` adds to it. */
// It is a `Connection`, and cannot say so: the members that only this package may use are not in its declarations.
export class RealtimeSocket<Message = unknown> extends OrderedSocket {
  readonly #context: SocketContext
  #settings!: ConnectionSettings
  #liveness!: Liveness
  /** Made on first use: most connections are idle. */
  #reception: Reception | undefined
  /** There if the client is one that resumes. */
  #resumption: Resumption | undefined
  /** Made on first use. */
  #departure: Departure | undefined
  #hasSubscribed = false
  #openedAt = 0
  #user: Claims | null = null
  /** @internal Settles once the handler of an `app.ws` route has returned. */
  handled: Promise<void> | undefined
  /** @internal Takes the messages of a connection that speaks the channel protocol. */
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
    // A whole number takes no memory of its own.
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

  /** @internal The handler of an `app.ws` route is about to run. The route may have rules, the client may resume. */
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

  /** Milliseconds between the last answered ping and its pong; undefined before the first. */
  get roundTripTime(): number | undefined {
    return this.#liveness.roundTripTime
  }

  /** Aborts when the socket closes, or when its turn comes in a drain of the node. */
  get signal(): AbortSignal {
    return this.#departing.signal
  }

  get stats(): ConnectionStats {
    const { messages: messagesOut, bytes: bytesOut, dropped } = this.sent
    const { messages: messagesIn, bytes: bytesIn, refused: rejected, queued } = this.#reception ?? NOTHING_RECEIVED
    const age = this.#context.wheel.now() - this.#openedAt
    return { messagesIn, messagesOut, bytesIn, bytesOut, dropped, rejected, queued, age }
  }

  /**
   * The messages of an `app.ws` route, parsed and validated, in order; ends when the connection does or the node
   * drains, after what has arrived was handed out. One loop at a time: throws `FST_RT_MESSAGES_TAKEN`. If a `message`
   * listener was attached before the first call, messages up to that call are the listener's alone.
   */
  messages(): AsyncIterableIterator<Message> {
    return this.reception.iterate() as AsyncIterableIterator<Message>
  }

  /** Sends a value as JSON. Throws `FST_RT_INVALID_DATA` if it can't be written (a cycle, a BigInt, a function). */
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
    const key = this.#reception?.key
    return key && userKey(this.user?.sub, key)
  }

  /**
   * Asks the client, on an `app.ws` route with `requests: true`; resolves with its reply. Rejects with
   * `FST_RT_REQUEST_TIMEOUT`, `FST_RT_REQUEST_REFUSED` (the client's error is the `cause`), `FST_RT_REQUEST_LIMIT`,
   * `FST_RT_SOCKET_CLOSED` or `FST_RT_REQUESTS_OFF`.
   */
  request(data: unknown, options?: RequestOptions): Promise<unknown> {
    return this.reception.request(data, options)
  }

  /**
   * Subscribes to a channel: its publications arrive as `{"channel":…,"data":…}`. With `since`, what was published
   * after that position is delivered first; without it, the position that a client of `fastify-realtime/client` gave with
   * its handshake is used. With `presence`, the socket is among those who are on the channel. Rejects with
   * `FST_RT_INVALID_CHANNEL`, `FST_RT_INVALID_ARGUMENT`, `FST_RT_SUBSCRIPTION_LIMIT`,
   * `FST_RT_SOCKET_CLOSED` or `FST_RT_UNAVAILABLE`.
   */
  subscribe(channel: string, options?: SubscribeOptions): Promise<SubscribeResult> {
    const { streams } = this.#context
    this.#hasSubscribed = true
    if (this.#resumption === undefined) return streams.subscribe(this, channel, options)
    return this.#resumption.subscribe(streams, this, channel, options)
  }

  /** Ends a subscription. Nothing of the channel is sent after this returns. */
  unsubscribe(channel: string): void {
    this.#context.streams.unsubscribe(this, channel)
    this.#resumption?.unsubscribed(this, channel)
  }

  /** Publishes a value, as JSON, to all subscribers on all nodes. See `app.realtime.publish`. */
  publish(channel: string, data: unknown, options?: PublishOptions): Promise<PublishResult> {
    return this.#context.streams.publish(channel, data, options)
  }

  /** As `ws`'s, after all that was sent before; a reason longer than 123 bytes is cut. */
  override close(code?: number, reason?: string | Buffer): void {
    const wasOpen = !this.closed
    super.close(code, reason)
    if (!wasOpen) return
    this.#reception?.close()
    // Else the answer to the close frame would never be read.
    super.resume()
  }

  override pause(): void {
    this.intake.hold(HELD_BY.application)
  }

  override resume(): void {
    this.#reception?.intake.release(HELD_BY.application)
  }

  /** @internal */
  pauseReading(): void {
    // Else the answer to the close frame would never be read.
    if (!this.closed) super.pause()
  }

  /** @internal */
  resumeReading(): void {
    this.#liveness.resumed()
    super.resume()
  }

  /** @internal What the handshake settled. */
  get settings(): ConnectionSettings {
    return this.#settings
  }

  /** @internal What comes from the peer. */
  get reception(): Reception {
    this.#reception ??= new Reception(this.#context, this)
    return this.#reception
  }

  /** @internal How much of what comes is taken. */
  get intake(): Intake {
    return this.reception.intake
  }

  /** @internal Closes with one of our codes. */
  closeWith(close: Pick<CloseCode, 'code' | 'reason'>): void {
    const { code, reason } = this.#settings.kind === 'channels' ? disconnectFor(close) : close
    this.close(code, reason)
  }

  /** @internal True while its handler has listeners or subscriptions, but no loop that could have ended. */
  get isInUse(): boolean {
    if (this.closed || this.#departure?.draining || this.#reception?.isIterated) return false
    return this.#hasSubscribed || this.listenerCount('message') > 0
  }

  /** @internal The connection showed whose it is, and until when (by the wheel's clock). */
  identify(user: Claims, expiresAt: number): void {
    this.#user = user
    this.extend(expiresAt)
    this.#context.observer.identified(this)
  }

  /** @internal The handler has returned: its connection is done. */
  finish(): void {
    this.#departing.finish()
  }

  /** @internal */
  get maxSubscriptions(): number {
    return this.#settings.limits.subscriptions
  }

  /** @internal Publications of a channel were lost to this connection for good. */
  insufficientState(channel: string, { offset, epoch }: Position): void {
    this.sendText(insufficientStateNotice(channel, offset, epoch))
  }

  /** @internal The reader took what waited for it. */
  caughtUp(): void {
    if (this.session === undefined) this.#context.streams.caughtUp(this)
    else this.session.caughtUp()
  }

  /** @internal Moves the expiry of the token, by the wheel's clock. */
  extend(expiresAt: number): void {
    this.#liveness.extend(expiresAt)
  }

  /** @internal The node begins to drain. False if the client's protocol has no notice for that. */
  warnOfDrain(reconnectAfter: number): boolean {
    if (this.#settings.kind !== 'messages') return false
    this.sendText(drainingNotice(reconnectAfter))
    return true
  }

  /** @internal Its turn in the drain: the handler is asked to end. */
  drain(): Ending {
    return this.#departing.drain(this.handled ?? this.session?.drain())
  }

  get #departing(): Departure {
    this.#departure ??= new Departure(this, this.readyState === WebSocket.CLOSED)
    return this.#departure
  }

  /** @internal The hard limit of what waits for a slow reader is passed. */
  overflowed(): void {
    if (this.closed) return
    this.#settings.log.info({ connection: this.id, bytes: this.bufferedAmount }, 'slow reader closed')
    this.outbox.close()
    this.closeWith(CLOSE.slowConsumer)
    // The close frame stands behind all that is buffered: waiting for it would keep the memory.
    this.#liveness.cutSoon()
  }

  /** @internal Every event passes here: ours first, then the application's listeners, each guarded. */
  override emit(event: string | symbol, ...args: unknown[]): boolean {
    try {
      if (event === 'message') {
        this.#liveness.heard()
        return this.reception.receive(args[0], args[1] as boolean)
      }
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
    if (!this.closed) this.closeWith(CLOSE.internalError)
  }

  /** @internal */
  flooded(): void {
    if (this.closed) return
    this.closeWith(CLOSE.rateLimited)
    this.cutOff()
  }

  /** @internal From here on the peer may send so many bytes in all, until the intake lifts that. */
  allow(bytes: number, exceeded: () => void): void {
    this.intake.allow(this.stream, bytes, exceeded)
  }

  /** @internal The session's ping was answered, or an unsolicited answer came. */
  pingAnswered(): void {
    if (!this.#liveness.answered()) this.intake.takeControl()
  }

  /** @internal The connection is closed, and nothing that its peer still sends is worth reading: it ends soon. */
  cutOff(): void {
    this.reception.ignore()
    super.pause()
    this.#liveness.cutSoon()
  }

  #onPing(payload: Buffer): void {
    this.#liveness.heard()
    if (this.intake.takeControl() && this.answersPings && !this.closed) this.pong(payload)
  }

  #onPong(payload: Buffer): void {
    if (this.#reception?.ponged(payload)) return
    if (!this.#liveness.ponged(payload)) this.intake.takeControl()
  }

  #onFault(error: NodeJS.ErrnoException): boolean {
    this.#settings.log.info({ connection: this.id, code: error.code }, 'WebSocket fault')
    new Linger(this.stream, this.#context.wheel)
    this.callListeners('error', [error])
    return true
  }

  #onClose(eventCode: number): void {
    const { streams, observer, clients } = this.#context
    clients?.delete(this)
    this.#liveness.end()
    this.#reception?.end()
    this.#departure?.end()
    this.endSending()
    if (this.#settings.kind === 'refused') return
    // ws says 1006 if no close frame came, whatever was sent.
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
