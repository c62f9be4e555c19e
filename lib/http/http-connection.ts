import type { ConnectionSession, ConnectionSettings, Ending } from '../connection/connection.ts'
import type { ConnectionContext } from '../connection/context.ts'
import { Intake, type IntakeOwner } from '../connection/intake.ts'
import { Liveness, type LivenessOwner } from '../connection/liveness.ts'
import { Outbox, type OutboxOwner } from '../connection/outbox.ts'
import type { ConnectionStats } from '../connection/statistics.ts'
import type { Claims } from '../options/options.ts'
import { CLOSE, type CloseCode, truncateReason } from '../protocol/close-codes.ts'
import { disconnectFor } from '../protocol/disconnect-codes.ts'
import type { ClientFormat } from '../session/encodings/client-format.ts'
import type { Emulation, SessionConnection } from '../session/services.ts'
import type { ResponseStream } from './chunked-response.ts'
import { type Addressee, type Delivery, type HttpSessions, makeSession } from './http-sessions.ts'
import { type Letter, Mailbox } from './mailbox.ts'

export interface HttpConnectionOptions {
  readonly settings: ConnectionSettings
  /** The response. Its head is written. */
  readonly stream: ResponseStream
  readonly format: ClientFormat
  readonly context: ConnectionContext
  readonly sessions: HttpSessions
  /** The id of this node. */
  readonly node: string
}

/**
 * A connection of the channel protocol over HTTP. What the server sends is one response that does not end. What the
 * client sends are requests of their own, which `HttpSessions` delivers.
 */
export class HttpConnection implements SessionConnection, LivenessOwner, IntakeOwner, OutboxOwner, Addressee {
  readonly settings: ConnectionSettings
  readonly emulation: Emulation
  readonly outbox: Outbox
  readonly intake: Intake
  readonly #stream: ResponseStream
  readonly #format: ClientFormat
  readonly #context: ConnectionContext
  readonly #sessions: HttpSessions
  readonly #liveness: Liveness
  readonly #openedAt: number
  /** Made when the session takes no commands for the first time. */
  #mailbox: Mailbox | undefined
  #user: Claims | null
  /** The code that the client was sent. */
  #sentCode: number | undefined
  #messagesIn = 0
  #bytesIn = 0
  #refused = 0
  session: ConnectionSession | undefined
  closed = false
  isPaused = false

  constructor({ settings, stream, format, context, sessions, node }: HttpConnectionOptions) {
    this.settings = settings
    this.emulation = { session: makeSession(settings.id), node }
    this.#stream = stream
    this.#format = format
    this.#context = context
    this.#sessions = sessions
    this.#user = settings.user
    this.#openedAt = Math.trunc(context.wheel.now())
    this.#liveness = new Liveness(context, this)
    this.intake = new Intake(settings, context, this)
    this.outbox = new Outbox(stream, context.turn, settings.limits.buffered, this)
  }

  /** Called once the session is set. */
  open(): void {
    const { observer, turn } = this.#context
    // A write to a response whose client has left is an error, and without a listener it would end the process.
    this.#stream.on('error', () => this.#stream.destroy())
    this.#stream.once('close', () => turn.attempt(() => this.#onClose()))
    this.#liveness.start()
    this.#sessions.add(this)
    observer.opened(this)
  }

  get id(): string {
    return this.settings.id
  }

  get user(): Claims | null {
    return this.#user
  }

  get sent(): { readonly messages: number } {
    return this.outbox
  }

  get roundTripTime(): number | undefined {
    return this.#liveness.roundTripTime
  }

  get bufferedAmount(): number {
    return this.#stream.writableLength + this.outbox.waiting
  }

  get stats(): ConnectionStats {
    const { messages: messagesOut, bytes: bytesOut, dropped } = this.outbox
    return {
      messagesIn: this.#messagesIn,
      messagesOut,
      bytesIn: this.#bytesIn,
      bytesOut,
      dropped,
      rejected: this.#refused,
      queued: this.#mailbox?.length ?? 0,
      age: this.#context.wheel.now() - this.#openedAt
    }
  }

  get endedBy(): 'client' | 'server' {
    return this.#sentCode === undefined ? 'client' : 'server'
  }

  get maxSubscriptions(): number {
    return this.settings.limits.subscriptions
  }

  /** A request brought commands. */
  deliver(letter: Letter): Delivery {
    if (this.closed) return 'unknown'
    if (!this.isPaused) {
      this.receive(letter)
      return 'delivered'
    }
    this.#mailbox ??= new Mailbox(this.settings.limits)
    return this.#mailbox.add(letter) ? 'delivered' : 'full'
  }

  /** Hands commands to the session. */
  receive({ data, isBinary }: Letter): void {
    this.#liveness.frameReceived()
    this.#messagesIn++
    this.#bytesIn += data.length
    this.#context.observer.received(data.length)
    this.#context.turn.attempt(() => this.session?.receive(data, isBinary))
  }

  pauseReading(): void {
    this.isPaused = true
  }

  resumeReading(): void {
    this.isPaused = false
    this.#liveness.resumed()
    // The session may pause again after each letter.
    while (!this.isPaused && !this.closed) {
      const letter = this.#mailbox?.take()
      if (letter === undefined) return
      this.receive(letter)
    }
  }

  sendText(text: string): void {
    if (!this.closed) this.outbox.send(this.#format.frame(text))
  }

  /** The heartbeat of WebSockets. A client that is not connected yet is sent nothing, and has nothing to answer. */
  sendPing(): void {
    this.#liveness.frameReceived()
  }

  /** There is no close code, so the code is sent as the last message. */
  close(code: number, reason: string): void {
    if (this.closed) return
    this.outbox.finish()
    this.closed = true
    this.#sentCode = code
    this.outbox.close()
    const { encoding } = this.#format
    this.#stream.end(this.#format.frame(encoding.disconnectPush({ code, reason: truncateReason(reason) })))
    // A client that does not read would keep the response, and what it holds, in memory.
    this.#liveness.terminateSoon()
  }

  closeWith(close: Pick<CloseCode, 'code' | 'reason'>): void {
    const { code, reason } = disconnectFor(close)
    this.close(code, reason)
  }

  terminate(): void {
    this.#sentCode ??= CLOSE.abnormal.code
    this.outbox.flush()
    this.#stream.destroy()
  }

  /** The connection is closed already, and each request of the client is answered by itself. */
  cutOff(): void {
    this.#liveness.terminateSoon()
  }

  /** Nothing to limit: until the client is connected, it has no session to send commands to. */
  allow(): void {}

  identify(user: Claims, expiresAt: number): void {
    this.#user = user
    this.extend(expiresAt)
    this.#context.observer.identified(this)
  }

  extend(expiresAt: number): void {
    this.#liveness.extend(expiresAt)
  }

  pingAnswered(): void {
    if (!this.#liveness.pingAnswered()) this.intake.takeControl()
  }

  /** The session does this for its subscriptions. */
  insufficientState(): void {}

  /** The session does this for its subscriptions. */
  unsubscribe(): void {}

  warnOfDrain(): boolean {
    return false
  }

  drain(): Ending {
    const handled = this.session?.drain()
    return { handled, busy: handled !== undefined }
  }

  caughtUp(): void {
    this.session?.caughtUp()
  }

  overflowed(): void {
    if (this.closed) return
    this.settings.log.info({ connection: this.id, bytes: this.bufferedAmount }, 'slow reader closed')
    this.outbox.close()
    this.closeWith(CLOSE.slowConsumer)
  }

  overRate(): void {
    this.#refused++
    this.#context.observer.rejected('rate_limited')
  }

  /** Each refused command has an answer, so there are no notices. */
  notifyDropped(): void {}

  flooded(): void {
    this.closeWith(CLOSE.rateLimited)
  }

  #onClose(): void {
    const isAnswered = this.closed && this.#stream.writableFinished
    this.closed = true
    this.#sessions.delete(this)
    this.#liveness.end()
    this.intake.end()
    this.outbox.close()
    try {
      this.session?.ended()
    } finally {
      // A drain waits for this.
      this.#context.observer.closed(this, this.#sentCode ?? CLOSE.abnormal.code, isAnswered)
    }
  }
}
