import type { Command } from '../protocol/commands.ts'
import { DISCONNECT, type Disconnect } from '../protocol/disconnect-codes.ts'
import type { Message } from '../protocol/framing.ts'
import type { Timed, TimerWheel } from '../timing/timer-wheel.ts'

// How many bytes a client may send until its `connect` is answered: in messages, and on the stream with all frame
// headers.
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
  readonly source: Message
}

/**
 * Limits a client that is not connected yet: how many bytes it may send, and how much time it has to send `connect`, or
 * to close the connection after a refusal.
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

  /** Starts the time that the client has. */
  awaitClient(): void {
    const { wheel, authTimeout } = this.#session.services
    wheel.set(this, wheel.now() + authTimeout)
  }

  /** Stops the time, because the client waits for the application now. The application's time has its own limit. */
  awaitApplication(): void {
    this.#session.services.wheel.delete(this)
  }

  /** A message came. False if the client has sent more than it needs to connect: then the connection ends. */
  accepts(bytes: number): boolean {
    this.#bytes += bytes
    if (this.#bytes <= MAX_BYTES) return true
    this.#exceeded()
    return false
  }

  /** Keeps a command that came after `connect`, until the client is connected. */
  keep(command: Command, source: Message): void {
    this.#commands.push({ command, source })
  }

  /** Removes and returns the commands that were kept. */
  take(): EarlyCommand[] {
    return this.#commands.splice(0)
  }

  /** The client is connected, or the connection has ended. */
  end(): void {
    this.#session.services.wheel.delete(this)
    this.#commands = []
  }

  /** The wheel calls this if the client was too slow. */
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
