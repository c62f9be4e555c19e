import type { Duplex } from 'node:stream'
import { Allowance } from '../connection/allowance.ts'
import { type DroppedNotice, Excess } from '../connection/excess.ts'
import { Rates } from '../connection/rates.ts'
import { type Holder, Reading, type ReadingOwner } from '../connection/reading.ts'
import type { Claims, ResolvedHeartbeat, ResolvedLimits } from '../options/options.ts'
import type { SocketContext } from './context.ts'

/** What the intake needs of its socket. */
export interface IntakeOwner extends ReadingOwner {
  readonly user: Claims | null
  /** Something was more than the rate allows. */
  overRate(): void
  /** Messages were dropped. */
  readonly tellDropped: DroppedNotice
  /** There was too much of it: the connection ends. */
  flooded(): void
}

export interface IntakeOptions {
  readonly limits: ResolvedLimits
  readonly heartbeat: ResolvedHeartbeat
}

/** How much of what a peer sends is taken, and what becomes of the rest. */
export class Intake {
  readonly #options: IntakeOptions
  readonly #context: Pick<SocketContext, 'wheel' | 'userRate'>
  readonly #owner: IntakeOwner
  /** Made with the first message: until then nothing is used up. */
  #rates: Rates | undefined
  #excess: Excess | undefined
  #allowance: Allowance | undefined
  /** Made when reading is paused for the first time. */
  #reading: Reading | undefined

  constructor(options: IntakeOptions, context: Pick<SocketContext, 'wheel' | 'userRate'>, owner: IntakeOwner) {
    this.#options = options
    this.#context = context
    this.#owner = owner
  }

  #ratesAt(now: number): Rates {
    if (this.#rates === undefined) {
      const { limits, heartbeat } = this.#options
      // A peer that owes more than that would go unjudged for longer than one that owes nothing.
      this.#rates = new Rates(limits, this.#context.userRate, now, heartbeat.interval)
    }
    return this.#rates
  }

  /** A message came. False if it is dropped; the client gets a notice. `text`: the message may be a request. */
  takeMessage(bytes: number, text?: Buffer): boolean {
    const now = this.#context.wheel.now()
    const retryAfter = this.#ratesAt(now).take(this.#owner.user, bytes, now)
    if (retryAfter === 0) return true
    this.#owner.overRate()
    if (this.#isBearable(now)) this.#excess?.drop(retryAfter, now, text)
    return false
  }

  /** A command came. False if it is refused; the caller answers it. */
  takeCommand(bytes: number): boolean {
    const now = this.#context.wheel.now()
    if (this.#ratesAt(now).take(this.#owner.user, bytes, now) === 0) return true
    this.#owner.overRate()
    this.#isBearable(now)
    return false
  }

  /** A message of an unknown protocol came. It is taken, and the next is read once this one is paid for. */
  charge(bytes: number): void {
    const now = this.#context.wheel.now()
    const wait = this.#ratesAt(now).charge(this.#owner.user, bytes, now)
    if (wait > 0 && this.#made().holdFor(wait)) this.#owner.overRate()
  }

  /** A ping or an unsolicited pong came. False if there are too many. */
  takeControl(): boolean {
    const now = this.#context.wheel.now()
    if (this.#ratesAt(now).takeControl(now)) return true
    this.#isBearable(now)
    return false
  }

  /** From here on the peer may send so many bytes in all. */
  allow(stream: Duplex, bytes: number, exceeded: () => void): void {
    this.#allowance = new Allowance(stream, bytes, exceeded)
  }

  liftAllowance(): void {
    this.#allowance?.lift()
    this.#allowance = undefined
  }

  /** The client has caused so many bytes to be sent. */
  spend(bytes: number): void {
    const now = this.#context.wheel.now()
    this.#ratesAt(now).spend(bytes, now)
  }

  /** True while there are bytes that are not paid for. */
  get indebted(): boolean {
    return this.#rates !== undefined && this.#rates.debt(this.#context.wheel.now()) > 0
  }

  hold(by: Holder): void {
    this.#made().hold(by)
  }

  release(by: Holder): void {
    this.#reading?.release(by)
  }

  /** Nobody holds the reading any more. */
  endReading(): void {
    this.#reading?.end()
  }

  /** The connection has ended. */
  end(): void {
    this.#reading?.end()
    this.#excess?.end()
  }

  #made(): Reading {
    this.#reading ??= new Reading(this.#owner, this.#context.wheel)
    return this.#reading
  }

  /** Notes that something was too much; false once there was too much of it. */
  #isBearable(now: number): boolean {
    this.#excess ??= new Excess(this.#context.wheel, (dropped, retryAfter, only) =>
      this.#owner.tellDropped(dropped, retryAfter, only)
    )
    const isTooMuch = this.#excess.note(now)
    if (isTooMuch) this.#owner.flooded()
    return !isTooMuch
  }
}
