import { CLOSE, type CloseCode } from '../protocol/close-codes.ts'
import { visiblePing } from '../protocol/messages.ts'
import type { Timed } from '../timing/timer-wheel.ts'
import type { ConnectionSession, ConnectionSettings } from './connection.ts'
import type { ConnectionContext } from './context.ts'
import { Heartbeat } from './heartbeat.ts'

// Milliseconds from a close to the end of the connection, if we no longer read, or if the peer does not read. The peer
// may receive the close frame meanwhile.
const CUT_OFF_GRACE = 1_000

/** What the liveness needs of its connection. */
export interface LivenessOwner {
  readonly closed: boolean
  readonly isPaused: boolean
  readonly session: Pick<ConnectionSession, 'ping'> | undefined
  readonly settings: Pick<ConnectionSettings, 'kind' | 'heartbeat' | 'expiresAt'>
  /** Counts the messages that were sent. */
  readonly sent: { readonly messages: number }
  sendText(text: string): void
  sendPing(frame: Buffer): void
  closeWith(close: Pick<CloseCode, 'code' | 'reason'>): void
  terminate(): void
}

/**
 * Ends a connection when it is time. There are three cases, with one deadline on the wheel for all of them:
 * - The peer no longer answers the heartbeat.
 * - The token expires.
 * - The connection was closed, and nobody waits for the peer's answer.
 */
export class Liveness implements Timed {
  readonly #context: Pick<ConnectionContext, 'wheel' | 'random' | 'observer'>
  readonly #owner: LivenessOwner
  readonly #heartbeat: Heartbeat
  /** When the token expires, if that has changed since the handshake. */
  #extendedTo: number | undefined
  #terminateAt: number | undefined
  #sentAtLastPing = 0
  /** Send a ping also as a message that the client's code can see, if nothing else was sent since the last ping. */
  showsPings: boolean
  wheelTick = -1

  constructor(context: Pick<ConnectionContext, 'wheel' | 'random' | 'observer'>, owner: LivenessOwner) {
    const { kind, heartbeat } = owner.settings
    this.#context = context
    this.#owner = owner
    this.#heartbeat = new Heartbeat(heartbeat, context.wheel.now(), context.random())
    this.showsPings = kind === 'messages' && heartbeat.visible
  }

  /** Milliseconds between the last answered ping and its pong. Undefined before the first. */
  get roundTripTime(): number | undefined {
    return this.#heartbeat.roundTripTime
  }

  start(): void {
    this.#context.wheel.set(this, Math.min(this.#heartbeat.first, this.#expiresAt))
  }

  get #expiresAt(): number {
    return this.#extendedTo ?? this.#owner.settings.expiresAt
  }

  /** The connection has ended. */
  end(): void {
    this.#context.wheel.delete(this)
  }

  /** Changes when the token expires, by the wheel's clock. */
  extend(expiresAt: number): void {
    this.#extendedTo = expiresAt
    this.#context.wheel.set(this, this.#context.wheel.now())
  }

  /** The connection is closed: ends it soon, whether the peer has answered or not. */
  terminateSoon(): void {
    const { wheel } = this.#context
    this.#terminateAt = wheel.now() + CUT_OFF_GRACE
    wheel.set(this, this.#terminateAt)
  }

  /** A frame other than a pong came. */
  frameReceived(): void {
    this.#heartbeat.frameReceived()
  }

  /** A pong came. False if it is unsolicited. */
  pongReceived(payload: Buffer): boolean {
    return this.#reportRoundTrip(this.#heartbeat.pongReceived(payload, this.#context.wheel.now()))
  }

  /** A pong of the channel protocol came. False if it is unsolicited. */
  pingAnswered(): boolean {
    return this.#reportRoundTrip(this.#heartbeat.pingAnswered(this.#context.wheel.now()))
  }

  /** Reading was resumed after a pause. */
  resumed(): void {
    this.#heartbeat.resumed(this.#context.wheel.now())
  }

  /** The wheel calls this. */
  onDue(now: number): number {
    const { wheel, random, observer } = this.#context
    const owner = this.#owner
    if (owner.closed) return this.#terminateIfDue(now)
    if (now >= this.#expiresAt) {
      owner.closeWith({ code: CLOSE.unauthorized.code, reason: 'token expired' })
      return Number.POSITIVE_INFINITY
    }
    const beat = this.#heartbeat.beat(now, random(), wheel.graceUntil, owner.isPaused)
    if (beat.action === 'dead') {
      observer.heartbeatTimeout()
      // A peer that is dead does not answer a close frame either. ws ends the connection after its own close timeout.
      if (owner.session !== undefined) owner.closeWith(CLOSE.timeout)
      else owner.terminate()
      return Number.POSITIVE_INFINITY
    }
    if (beat.action === 'ping') this.#ping(beat.frame)
    // A reader that is too slow for the ping is given up.
    if (owner.closed) return this.#terminateIfDue(now)
    return Math.min(beat.next, this.#expiresAt)
  }

  #terminateIfDue(now: number): number {
    if (this.#terminateAt === undefined || now < this.#terminateAt) return this.#terminateAt ?? Number.POSITIVE_INFINITY
    this.#owner.terminate()
    return Number.POSITIVE_INFINITY
  }

  #ping(frame: Buffer): void {
    const owner = this.#owner
    if (this.showsPings && owner.sent.messages === this.#sentAtLastPing) owner.sendText(visiblePing(Date.now()))
    this.#sentAtLastPing = owner.sent.messages
    if (owner.session?.ping() !== true && !owner.closed) owner.sendPing(frame)
  }

  #reportRoundTrip(isAnswer: boolean): boolean {
    if (isAnswer) this.#context.observer.roundTrip(this.#heartbeat.roundTripTime as number)
    return isAnswer
  }
}
