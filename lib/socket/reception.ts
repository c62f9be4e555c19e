import { BoundedLog } from '../connection/bounded-log.ts'
import type { ConnectionSession, ConnectionSettings } from '../connection/connection.ts'
import { HELD_BY } from '../connection/reading.ts'
import { MessagesTakenError, RequestsOffError } from '../errors.ts'
import type { Log } from '../input/guarded-log.ts'
import { loggable } from '../input/loggable.ts'
import type { Claims } from '../options/options.ts'
import { type ErrorCode, type ErrorDetails, takenNotice } from '../protocol/messages.ts'
import type { SocketContext } from './context.ts'
import { Farewell } from './farewell.ts'
import { BINARY, Inbox, type InboxOwner } from './inbox.ts'
import { Intake, type IntakeOwner } from './intake.ts'
import { sizeOf } from './payload.ts'
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
  /** Too much came: the connection ends. */
  flooded(): void
  callListeners(event: string, args: readonly unknown[], listeners?: readonly unknown[]): boolean
  listenersFor(event: string): readonly unknown[]
}

/** What a route asked for. */
export type ReceptionRules = RequestRules & { readonly queued: boolean }

/** The counts of a connection that has received nothing. */
export const NOTHING_RECEIVED = { messages: 0, bytes: 0, refused: 0, queued: 0 }

/**
 * What comes from the peer of one connection: it is counted and charged, and goes to the session, to the inbox, to the
 * requests or to the application's listeners.
 */
export class Reception implements InboxOwner, IntakeOwner, RequestsOwner {
  readonly #context: Pick<SocketContext, 'wheel' | 'observer' | 'userRate'>
  readonly #owner: ReceptionOwner
  /** What the route asked for, if anything. */
  #rules: ReceptionRules | undefined
  // Each of these is made on first use.
  #intake: Intake | undefined
  #inbox: Inbox | undefined
  #requests: Requests | undefined
  #farewell: Farewell | undefined
  #failureLog: BoundedLog | undefined
  #isIgnoring = false
  /** The client learns when the handler is done with a keyed message. */
  #acknowledges = false
  /** iterate() was called: the route reads by it, and not by a listener. */
  isIterated = false
  /** Messages that came, and their bytes. */
  messages = 0
  bytes = 0
  /** Messages refused: rate, JSON, schema, depth. */
  refused = 0

  constructor(context: Pick<SocketContext, 'wheel' | 'userRate' | 'observer'>, owner: ReceptionOwner) {
    this.#context = context
    this.#owner = owner
  }

  /** The handler of an `app.ws` route that asks for something is about to run. */
  begin(rules: ReceptionRules, acknowledges: boolean): void {
    this.#rules = rules
    this.#acknowledges = acknowledges
  }

  /** How much of what comes is taken. */
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

  /** The requests in both directions; undefined if the route has none. */
  get #dialogue(): Requests | undefined {
    const rules = this.#rules
    if (this.#requests === undefined && rules !== undefined && (rules.requests || rules.respond !== undefined)) {
      this.#requests = new Requests(rules, this, this.#context.wheel, this.#owner.settings.limits)
    }
    return this.#requests
  }

  /** Messages of an `app.ws` route go to its handler by a loop; those of the others have listeners only. */
  get #hasInbox(): boolean {
    return this.#owner.settings.kind === 'messages'
  }

  /** Messages that wait for the handler. */
  get queued(): number {
    return this.#inbox?.length ?? 0
  }

  /** The key of the keyed message that the handler is at. */
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

  /** Asks the client; resolves with its reply. */
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
      // The protocol of such a route is unknown: it is answered with TCP backpressure, and loses nothing.
      this.intake.charge(bytes)
      return this.#owner.callListeners('message', [data, isBinary])
    }
    const text = isBinary ? undefined : (data as Buffer)
    if (!this.intake.takeMessage(bytes, text)) return true
    if (text !== undefined && this.#dialogue?.take(text)) return true
    const listeners = this.#owner.listenersFor('message')
    // A route that reads by a listener would else be paused for ever, once the queue that it doesn't read is full.
    if (this.isIterated || listeners.length === 0) this.#messages.add(text ?? BINARY)
    return this.#owner.callListeners('message', [data, isBinary], listeners)
  }

  /** What comes from here on is not looked at. */
  ignore(): void {
    this.#isIgnoring = true
  }

  /** A pong came; true if it ends a farewell. */
  ponged(payload: Buffer): boolean {
    return this.#farewell?.ponged(payload) ?? false
  }

  /** Resolves once the requests that the client has made are answered; undefined if there are none. */
  answered(): Promise<void> | undefined {
    return this.#requests?.answered()
  }

  /** True if the handler is in the middle of a message; undefined if it takes none from here. */
  get busy(): boolean | undefined {
    return this.#inbox?.busy
  }

  /** The connection's turn in a drain has come: what is on its way is taken, and nothing after it. */
  sayFarewell(): void {
    if (!this.#hasInbox) return
    const inbox = this.#messages
    this.#farewell = new Farewell(
      this.#context.wheel,
      (payload) => this.#owner.ping(payload),
      () => inbox.end()
    )
  }

  /** The close frame is sent: nothing that comes now can be answered. */
  close(): void {
    this.#inbox?.end()
    this.#intake?.endReading()
  }

  /** The connection has ended. */
  end(): void {
    this.#intake?.end()
    this.#farewell?.cancel()
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

  /** Enough waits for the handler. */
  pause(): void {
    this.intake.hold(HELD_BY.inbox)
  }

  resume(): void {
    this.#intake?.release(HELD_BY.inbox)
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

  tellDropped(dropped: number, retryAfter: number, only: Buffer | undefined): void {
    if (only !== undefined && this.#dialogue?.refuse(only, retryAfter)) return
    this.#owner.sendError('rate_limited', { retryAfter, dropped })
  }

  flooded(): void {
    this.#owner.flooded()
  }
}
