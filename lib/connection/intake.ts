import type { Duplex } from 'node:stream'
import type { Claims, ResolvedHeartbeat, ResolvedLimits } from '../options/options.ts'
import { Allowance } from './allowance.ts'
import type { ConnectionContext } from './context.ts'
import { Excess, type SendDroppedNotice } from './excess.ts'
import { Rates } from './rates.ts'
import { type PauseReason, Reading, type ReadingOwner } from './reading.ts'

/** What the intake needs of its connection. */
export interface IntakeOwner extends ReadingOwner {
  readonly user: Claims | null
  /** The peer sent more than its rate allows. */
  overRate(): void
  /** Messages were dropped: sends the client a notice. */
  readonly notifyDropped: SendDroppedNotice
  /** The peer sent far too much: the connection ends. */
  flooded(): void
}

export interface IntakeOptions {
  readonly limits: ResolvedLimits
  readonly heartbeat: ResolvedHeartbeat
}

/** Limits what a peer may send: accepts, drops, refuses or delays its messages, and ends a connection that floods. */
export class Intake {
  readonly #options: IntakeOptions
  readonly #context: Pick<ConnectionContext, 'wheel' | 'userRate'>
  readonly #owner: IntakeOwner
  /** Made with the first message: until then the buckets are full. */
  #rates: Rates | undefined
  #excess: Excess | undefined
  #allowance: Allowance | undefined
  /** Made when reading is paused for the first time. */
  #reading: Reading | undefined

  constructor(options: IntakeOptions, context: Pick<ConnectionContext, 'wheel' | 'userRate'>, owner: IntakeOwner) {
    this.#options = options
    this.#context = context
    this.#owner = owner
  }

  #ratesAt(now: number): Rates {
    if (this.#rates === undefined) {
      const { limits, heartbeat } = this.#options
      // While reading is paused for a debt, the heartbeat declares no peer dead. So a debt lasts one interval at most.
      this.#rates = new Rates(limits, this.#context.userRate, now, heartbeat.interval)
    }
    return this.#rates
  }

  /**
   * A message came. False if it is dropped; the client is sent a notice.
   * @param text The message, if it may be a request.
   */
  takeMessage(bytes: number, text?: Buffer): boolean {
    const now = this.#context.wheel.now()
    const retryAfter = this.#ratesAt(now).take(this.#owner.user, bytes, now)
    if (retryAfter === 0) return true
    this.#owner.overRate()
    if (this.#countExcess(now)) this.#excess?.drop(retryAfter, now, text)
    return false
  }

  /** A command came. False if it is refused; the caller sends the answer. */
  takeCommand(bytes: number): boolean {
    const now = this.#context.wheel.now()
    if (this.#ratesAt(now).take(this.#owner.user, bytes, now) === 0) return true
    this.#owner.overRate()
    this.#countExcess(now)
    return false
  }

  /**
   * A message of an unknown protocol came. It is accepted, and reading is paused until the rate allows the next one.
   */
  throttle(bytes: number): void {
    const now = this.#context.wheel.now()
    const wait = this.#ratesAt(now).reserve(this.#owner.user, bytes, now)
    if (wait > 0 && this.#ensureReading().pauseFor(wait)) this.#owner.overRate()
  }

  /** A ping or an unsolicited pong came. False if there are too many. */
  takeControl(): boolean {
    const now = this.#context.wheel.now()
    if (this.#ratesAt(now).takeControl(now)) return true
    this.#countExcess(now)
    return false
  }

  /** From now on the peer may send so many bytes in all, until `liftAllowance()`. */
  allow(stream: Duplex, bytes: number, exceeded: () => void): void {
    this.#allowance = new Allowance(stream, bytes, exceeded)
  }

  liftAllowance(): void {
    this.#allowance?.lift()
    this.#allowance = undefined
  }

  /** The client has caused so many bytes to be sent. They count as if the client had sent them. */
  spend(bytes: number): void {
    const now = this.#context.wheel.now()
    this.#ratesAt(now).spend(bytes, now)
  }

  /** True while the client has used more bytes than its rate allows. */
  get indebted(): boolean {
    return this.#rates !== undefined && this.#rates.debt(this.#context.wheel.now()) > 0
  }

  pause(reason: PauseReason): void {
    this.#ensureReading().pause(reason)
  }

  resume(reason: PauseReason): void {
    this.#reading?.resume(reason)
  }

  /** Forgets all reasons to pause reading, without resuming. */
  endReading(): void {
    this.#reading?.end()
  }

  /** The connection has ended. */
  end(): void {
    this.#reading?.end()
    this.#excess?.end()
  }

  #ensureReading(): Reading {
    this.#reading ??= new Reading(this.#owner, this.#context.wheel)
    return this.#reading
  }

  /** Counts something past the rate. False if there was too much: then the connection ends. */
  #countExcess(now: number): boolean {
    this.#excess ??= new Excess(this.#context.wheel, (dropped, retryAfter, only) =>
      this.#owner.notifyDropped(dropped, retryAfter, only)
    )
    const isFlood = this.#excess.add(now)
    if (isFlood) this.#owner.flooded()
    return !isFlood
  }
}
