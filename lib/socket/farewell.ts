import type { Timed, TimerWheel } from '../timing/timer-wheel.ts'

// The ping that is sent when a connection's turn in a drain comes, and how long its pong is waited for, in milliseconds.
const PAYLOAD = Buffer.from('drain')
const PATIENCE = 1_000

/**
 * The end of what a draining connection takes. Its client may have sent messages that are still on their way. Its pong
 * to a ping that is sent now comes after all of them, so that each is still answered. A client that is slow to pong is
 * not waited for.
 */
export class Farewell implements Timed {
  readonly #wheel: TimerWheel
  readonly #end: () => void
  wheelTick = -1

  constructor(wheel: TimerWheel, ping: (payload: Buffer) => void, end: () => void) {
    this.#wheel = wheel
    this.#end = end
    wheel.set(this, wheel.now() + PATIENCE)
    ping(PAYLOAD)
  }

  /** A pong came; true if it is the one that was waited for. */
  ponged(payload: Buffer): boolean {
    if (!payload.equals(PAYLOAD)) return false
    this.#end()
    return true
  }

  /** The wheel calls this. */
  onDue(): number {
    this.#end()
    return Number.POSITIVE_INFINITY
  }

  /** The connection has ended. */
  cancel(): void {
    this.#wheel.delete(this)
  }
}
