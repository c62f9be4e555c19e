import type { Timed, TimerWheel } from '../timing/timer-wheel.ts'

const PAYLOAD = Buffer.from('drain')
// Milliseconds to wait for the pong.
const TIMEOUT = 1_000

/**
 * Finds out when all messages have arrived that a client sent before its connection was drained. It sends a ping: the
 * client's pong comes after those messages, so each of them is still answered. A client that does not answer the ping
 * in time is not waited for any longer.
 */
export class PingBarrier implements Timed {
  readonly #wheel: TimerWheel
  readonly #reached: () => void
  wheelTick = -1

  /** @param reached Called when the pong comes, or when the time is over. */
  constructor(wheel: TimerWheel, ping: (payload: Buffer) => void, reached: () => void) {
    this.#wheel = wheel
    this.#reached = reached
    wheel.set(this, wheel.now() + TIMEOUT)
    ping(PAYLOAD)
  }

  /** A pong came. True if it answers this ping. */
  pongReceived(payload: Buffer): boolean {
    if (!payload.equals(PAYLOAD)) return false
    this.#reached()
    return true
  }

  /** The wheel calls this. */
  onDue(): number {
    this.#reached()
    return Number.POSITIVE_INFINITY
  }

  /** The connection has ended. */
  cancel(): void {
    this.#wheel.delete(this)
  }
}
