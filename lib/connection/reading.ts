import type { Timed, TimerWheel } from '../timing/timer-wheel.ts'

/**
 * Why a socket is not read: the application has paused it, the peer has sent more than its rate allows, or too many
 * messages wait for the handler.
 */
export const PAUSE_REASON = { application: 1, rate: 2, inbox: 4 } as const

export type PauseReason = (typeof PAUSE_REASON)[keyof typeof PAUSE_REASON]

/** What the reading needs of its socket. */
export interface ReadingOwner {
  pauseReading(): void
  resumeReading(): void
}

/**
 * Reads a socket while there is no reason to pause. While it is paused, what the peer sends waits in the kernel. Once
 * the kernel's buffers are full, the peer has to wait.
 */
export class Reading implements Timed {
  readonly #owner: ReadingOwner
  readonly #wheel: TimerWheel
  #reasons = 0
  wheelTick = -1

  constructor(owner: ReadingOwner, wheel: TimerWheel) {
    this.#owner = owner
    this.#wheel = wheel
  }

  pause(reason: PauseReason): void {
    this.#reasons |= reason
    this.#owner.pauseReading()
  }

  /** Removes a reason. The socket is read again if there is no other. */
  resume(reason: PauseReason): void {
    this.#reasons &= ~reason
    if (this.#reasons === 0) this.#owner.resumeReading()
  }

  /** Pauses for so many milliseconds because of the rate. False if it is paused for that reason already. */
  pauseFor(milliseconds: number): boolean {
    if ((this.#reasons & PAUSE_REASON.rate) !== 0) return false
    this.pause(PAUSE_REASON.rate)
    this.#wheel.set(this, this.#wheel.now() + milliseconds)
    return true
  }

  /** The wheel calls this. */
  onDue(): number {
    this.resume(PAUSE_REASON.rate)
    return Number.POSITIVE_INFINITY
  }

  /** Forgets all reasons, without resuming. */
  end(): void {
    this.#reasons = 0
    this.#wheel.delete(this)
  }
}
