import type { ConnectionSession, ConnectionSettings } from '../connection/connection.ts'
import { Heartbeat } from '../connection/heartbeat.ts'
import { CLOSE, type CloseCode } from '../protocol/close-codes.ts'
import { visiblePing } from '../protocol/messages.ts'
import type { Timed } from '../timing/timer-wheel.ts'
import type { SocketContext } from './context.ts'

// A peer that is not read any more, or that does not read, is given this long (milliseconds) to see the close frame.
const CUT_OFF_GRACE = 1_000

/** What the liveness needs of its socket. */
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
 * How long a connection lives: until its peer no longer answers the heartbeat, until its token expires, or, if it was
 * closed and the answer is not waited for, until it is cut. It has one deadline on the wheel for all three.
 */
export class Liveness implements Timed {
  readonly #context: Pick<SocketContext, 'wheel' | 'random' | 'observer'>
  readonly #owner: LivenessOwner
  readonly #heartbeat: Heartbeat
  /** When the token expires, if that was moved since the handshake. */
  #extendedTo: number | undefined
  #terminateAt: number | undefined
  #sentAtLastPing = 0
  /** The client sees a ping as a message of its own, if nothing else was sent since the last. */
  showsPings: boolean
  wheelTick = -1

  constructor(context: Pick<SocketContext, 'wheel' | 'random' | 'observer'>, owner: LivenessOwner) {
    const { kind, heartbeat } = owner.settings
    this.#context = context
    this.#owner = owner
    this.#heartbeat = new Heartbeat(heartbeat, context.wheel.now(), context.random())
    this.showsPings = kind === 'messages' && heartbeat.visible
  }

  /** Milliseconds between the last answered ping and its pong; undefined before the first. */
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

  /** Moves the expiry of the token, by the wheel's clock. */
  extend(expiresAt: number): void {
    this.#extendedTo = expiresAt
    this.#context.wheel.set(this, this.#context.wheel.now())
  }

  /** The connection is closed, and its peer is not waited for: it is cut soon. */
  cutSoon(): void {
    const { wheel } = this.#context
    this.#terminateAt = wheel.now() + CUT_OFF_GRACE
    wheel.set(this, this.#terminateAt)
  }

  /** A frame other than a pong came. */
  heard(): void {
    this.#heartbeat.heard()
  }

  /** A pong came. False if it is unsolicited. */
  ponged(payload: Buffer): boolean {
    return this.#measure(this.#heartbeat.ponged(payload, this.#context.wheel.now()))
  }

  /** The session's ping was answered. False if the answer is unsolicited. */
  answered(): boolean {
    return this.#measure(this.#heartbeat.answered(this.#context.wheel.now()))
  }

  /** The socket is read again. */
  resumed(): void {
    this.#heartbeat.resumed(this.#context.wheel.now())
  }

  /** The wheel calls this. */
  onDue(now: number): number {
    const { wheel, random, observer } = this.#context
    const owner = this.#owner
    if (owner.closed) {
      if (this.#terminateAt === undefined || now < this.#terminateAt)
        return this.#terminateAt ?? Number.POSITIVE_INFINITY
      owner.terminate()
      return Number.POSITIVE_INFINITY
    }
    if (now >= this.#expiresAt) {
      owner.closeWith({ code: CLOSE.unauthorized.code, reason: 'token expired' })
      return Number.POSITIVE_INFINITY
    }
    const beat = this.#heartbeat.beat(now, random(), wheel.graceUntil, owner.isPaused)
    if (beat.action === 'dead') {
      observer.heartbeatTimeout()
      // What no longer answers won't answer a close frame either; ws cuts it after its own timeout.
      if (owner.session !== undefined) owner.closeWith(CLOSE.timeout)
      else owner.terminate()
      return Number.POSITIVE_INFINITY
    }
    if (beat.action === 'ping') this.#ping(beat.frame)
    return Math.min(beat.next, this.#expiresAt)
  }

  #ping(frame: Buffer): void {
    const owner = this.#owner
    if (this.showsPings && owner.sent.messages === this.#sentAtLastPing) owner.sendText(visiblePing(Date.now()))
    this.#sentAtLastPing = owner.sent.messages
    if (owner.session?.ping() !== true) owner.sendPing(frame)
  }

  #measure(isAnswer: boolean): boolean {
    if (isAnswer) this.#context.observer.roundTrip(this.#heartbeat.roundTripTime as number)
    return isAnswer
  }
}
