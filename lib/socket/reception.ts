import { BoundedLog } from '../connection/bounded-log.ts'
import type { ConnectionSession, ConnectionSettings } from '../connection/connection.ts'
import { Intake, type IntakeOwner } from '../connection/intake.ts'
import { PAUSE_REASON } from '../connection/reading.ts'
import { MessagesTakenError, RequestsOffError } from '../errors.ts'
import type { Log } from '../input/guarded-log.ts'
import { loggable } from '../input/loggable.ts'
import type { Claims } from '../options/options.ts'
import { type ErrorCode, type ErrorDetails, takenNotice } from '../protocol/messages.ts'
import type { SocketContext } from './context.ts'
import { BINARY, Inbox, type InboxOwner } from './inbox.ts'
import { sizeOf } from './payload.ts'
import { PingBarrier } from './ping-barrier.ts'
import { type RequestOptions, type RequestRules, Requests, type RequestsOwner } from './requests.ts'

/** What the reception needs of its socket. */
export interface ReceptionOwner {
  readonly settings: ConnectionSettings
  readonly user: Claims | null
  readonly closed: boolean
  readonly session: Pick<ConnectionSession, 'receive'> | undefined
  sendText(text: string): void
  sendError(code: ErrorCode, details?: ErrorDetails): void
  ping(payload: Buffer): void
  pauseReading(): void
  resumeReading(): void
  /** The peer sent far too much: ends the connection. */
  flooded(): void
  callListeners(event: string, args: readonly unknown[], listeners?: readonly unknown[]): boolean
  listenersFor(event: string): readonly unknown[]
}

/** What a route declares about its messages. */
export type ReceptionRules = RequestRules & { readonly queued: boolean }

/** The counts of a connection that has received nothing. */
export const NOTHING_RECEIVED = { messages: 0, bytes: 0, refused: 0, queued: 0 }

/**
 * Receives the messages of one connection. It counts them, applies the rates, and passes them to the session, the
 * inbox, the requests or the application's listeners.
 */
export class Reception implements InboxOwner, IntakeOwner, RequestsOwner {
  readonly #context: Pick<SocketContext, 'wheel' | 'observer' | 'userRate'>
  readonly #owner: ReceptionOwner
  /** Undefined if the route declares nothing about its messages. */
  #rules: ReceptionRules | undefined
  // Each of these is made on first use.
  #intake: Intake | undefined
  #inbox: Inbox | undefined
  #requests: Requests | undefined
  #barrier: PingBarrier | undefined
  #failureLog: BoundedLog | undefined
  #isIgnoring = false
  /** Whether the client is sent a notice when the handler is done with a keyed message. */
  #acknowledges = false
  /** True once iterate() was called: the route reads its messages by a loop, not by a listener. */
  isIterated = false
  /** How many messages came, and their bytes. */
  messages = 0
  bytes = 0
  /** Messages refused: rate, JSON, schema, depth. */
  refused = 0

  constructor(context: Pick<SocketContext, 'wheel' | 'userRate' | 'observer'>, owner: ReceptionOwner) {
    this.#context = context
    this.#owner = owner
  }

  /** The handler of an `app.ws` route with rules is about to run. */
  begin(rules: ReceptionRules, acknowledges: boolean): void {
    this.#rules = rules
    this.#acknowledges = acknowledges
  }

  /** Limits what the peer may send. */
  get intake(): Intake {
    this.#intake ??= new Intake(this.#owner.settings, this.#context, this)
    return this.#intake
  }

  /** The messages that wait for the handler of an `app.ws` route. */
  get #messages(): Inbox {
    this.#inbox ??= this.#makeInbox()
    return this.#inbox
  }

  #makeInbox(): Inbox {
    const inbox = new Inbox(this.#owner.settings, this.#rules?.queued === true, this)
    if (this.#owner.closed) inbox.end()
    return inbox
  }

  /** The requests in both directions. Undefined if the route does not use requests. */
  get #dialogue(): Requests | undefined {
    const rules = this.#rules
    if (this.#requests === undefined && rules !== undefined && (rules.requests || rules.respond !== undefined)) {
      this.#requests = new Requests(rules, this, this.#context.wheel, this.#owner.settings.limits)
    }
    return this.#requests
  }

  /** Only `app.ws` routes can read their messages by a loop. On other routes, listeners receive them. */
  get #hasInbox(): boolean {
    return this.#owner.settings.kind === 'messages'
  }

  /** How many messages wait for the handler. */
  get queued(): number {
    return this.#inbox?.length ?? 0
  }

  /** The key of the keyed message that the handler is working on. */
  get key(): string | undefined {
    return this.#inbox?.key
  }

  /** The messages, for one loop at a time. */
  iterate(): AsyncIterableIterator<unknown> {
    if (!this.#hasInbox || this.#inbox?.running) throw new MessagesTakenError()
    const inbox = this.#messages
    this.isIterated = true
    inbox.running = true
    return inbox
  }

  /** Sends the client a request. Resolves with its reply. */
  request(data: unknown, options: RequestOptions | undefined): Promise<unknown> {
    return this.#dialogue?.ask(data, options) ?? Promise.reject(new RequestsOffError())
  }

  /** A message came. False if the application has no listener for it. */
  receive(data: unknown, isBinary: boolean): boolean {
    if (this.#isIgnoring) return true
    const { session } = this.#owner
    const bytes = sizeOf(data)
    this.messages++
    this.bytes += bytes
    this.#context.observer.received(bytes)
    if (session !== undefined) {
      session.receive(data as Buffer, isBinary)
      return true
    }
    if (!this.#hasInbox) {
      // The protocol of such a route is unknown. So no message is dropped; TCP backpressure slows the peer down.
      this.intake.throttle(bytes)
      return this.#owner.callListeners('message', [data, isBinary])
    }
    const text = isBinary ? undefined : (data as Buffer)
    if (!this.intake.takeMessage(bytes, text)) return true
    if (text !== undefined && this.#dialogue?.take(text)) return true
    const listeners = this.#owner.listenersFor('message')
    // A route with a listener does not read the queue: once that was full, reading would be paused forever.
    if (this.isIterated || listeners.length === 0) this.#messages.add(text ?? BINARY)
    return this.#owner.callListeners('message', [data, isBinary], listeners)
  }

  /** Ignores all messages from now on. */
  ignore(): void {
    this.#isIgnoring = true
  }

  /** A pong came. True if it answers the ping of the drain. */
  pongReceived(payload: Buffer): boolean {
    return this.#barrier?.pongReceived(payload) ?? false
  }

  /** Resolves once the client's requests are answered. Undefined if there are none. */
  answered(): Promise<void> | undefined {
    return this.#requests?.answered()
  }

  /** True while the handler is working on a message. Undefined if no message was ever queued for it. */
  get busy(): boolean | undefined {
    return this.#inbox?.busy
  }

  /**
   * The drain of the node has reached this connection: accepts the messages already on their way, and none after them.
   */
  drain(): void {
    if (!this.#hasInbox) return
    const inbox = this.#messages
    this.#barrier = new PingBarrier(
      this.#context.wheel,
      (payload) => this.#owner.ping(payload),
      () => inbox.end()
    )
  }

  /** The close frame is sent: no message that comes now can be answered. */
  close(): void {
    this.#inbox?.end()
    this.#intake?.endReading()
  }

  /** The connection has ended. */
  end(): void {
    this.#intake?.end()
    this.#barrier?.cancel()
    this.#inbox?.end()
    this.#requests?.end()
  }

  get user(): Claims | null {
    return this.#owner.user
  }

  get log(): Log {
    return this.#owner.settings.log
  }

  isClosed(): boolean {
    return this.#owner.closed
  }

  sendText(text: string): void {
    this.#owner.sendText(text)
  }

  /** Too many messages wait for the handler. */
  pause(): void {
    this.intake.pause(PAUSE_REASON.inbox)
  }

  resume(): void {
    this.#intake?.resume(PAUSE_REASON.inbox)
  }

  pauseReading(): void {
    this.#owner.pauseReading()
  }

  resumeReading(): void {
    this.#owner.resumeReading()
  }

  rejected(reason: ErrorCode, cause?: unknown): void {
    if (cause !== undefined) this.#logFailure(cause)
    this.refused++
    this.#context.observer.rejected(reason)
  }

  #logFailure(cause: unknown): void {
    this.#failureLog ??= new BoundedLog(this.log, this.#context.wheel)
    this.#failureLog.error({ err: loggable(cause) }, 'message validator failed')
  }

  taken(key: string): void {
    if (this.#acknowledges) this.sendText(takenNotice(key))
  }

  overRate(): void {
    this.rejected('rate_limited')
  }

  notifyDropped(dropped: number, retryAfter: number, only: Buffer | undefined): void {
    if (only !== undefined && this.#dialogue?.refuse(only, retryAfter)) return
    this.#owner.sendError('rate_limited', { retryAfter, dropped })
  }

  flooded(): void {
    this.#owner.flooded()
  }
}
