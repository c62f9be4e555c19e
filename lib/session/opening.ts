import type { Command } from '../protocol/commands.ts'
import { DISCONNECT, type Disconnect } from '../protocol/disconnect-codes.ts'
import type { Timed, TimerWheel } from '../timing/timer-wheel.ts'

// Bytes that a client may send until its `connect` is answered: in messages, and on the wire with their frames.
const MAX_BYTES = 65_536
const MAX_FRAMED = MAX_BYTES + 4_096

/** What an opening needs of its session. */
export interface OpeningSession {
  readonly connection: { allow(bytes: number, exceeded: () => void): void; cutOff(): void }
  readonly services: { readonly wheel: TimerWheel; readonly authTimeout: number }
  disconnect(reason: Disconnect): void
}

/** A command that waits until the client is connected. */
interface EarlyCommand {
  readonly command: Command
  readonly text: string
}

/**
 * Bounds what a client may do until it is connected: the time until it sends `connect`, or hangs up after a refusal, and
 * the bytes that it may send.
 */
export class Opening implements Timed {
  readonly #session: OpeningSession
  #bytes = 0
  #commands: EarlyCommand[] = []
  wheelTick = -1

  constructor(session: OpeningSession) {
    this.#session = session
    session.connection.allow(MAX_FRAMED, () => this.#exceeded())
    this.awaitClient()
  }

  /** The client has so much time from now on. */
  awaitClient(): void {
    const { wheel, authTimeout } = this.#session.services
    wheel.set(this, wheel.now() + authTimeout)
  }

  /** It is the application's time from now on, which has bounds of its own. */
  awaitApplication(): void {
    this.#session.services.wheel.delete(this)
  }

  /** A message came. False if that is more than any client needs to connect: the connection ends. */
  accepts(bytes: number): boolean {
    this.#bytes += bytes
    if (this.#bytes <= MAX_BYTES) return true
    this.#exceeded()
    return false
  }

  /** Keeps a command that came behind `connect`. */
  keep(command: Command, text: string): void {
    this.#commands.push({ command, text })
  }

  /** Gives the commands that were kept, once. */
  take(): EarlyCommand[] {
    return this.#commands.splice(0)
  }

  /** The client is connected, or the connection has ended. */
  end(): void {
    this.#session.services.wheel.delete(this)
    this.#commands = []
  }

  /** The wheel calls this: the client was too slow. */
  onDue(now: number): number {
    const { graceUntil } = this.#session.services.wheel
    if (now < graceUntil) return graceUntil
    this.#session.disconnect(DISCONNECT.stale)
    return Number.POSITIVE_INFINITY
  }

  #exceeded(): void {
    this.#session.disconnect(DISCONNECT.badRequest)
    this.#session.connection.cutOff()
  }
}
