import type { Timed, TimerWheel } from '../timing/timer-wheel.ts'

/** Who wants a socket not to be read: its application, the limit of its rate, or the messages that wait. */
export const HELD_BY = { application: 1, rate: 2, inbox: 4 } as const

export type Holder = (typeof HELD_BY)[keyof typeof HELD_BY]

/** What the reading needs of its socket. */
export interface ReadingOwner {
  pauseReading(): void
  resumeReading(): void
}

/** Whether a socket is read: while nobody holds it. Until then what the peer sends waits in the kernel, and with it. */
export class Reading implements Timed {
  readonly #owner: ReadingOwner
  readonly #wheel: TimerWheel
  #holders = 0
  wheelTick = -1

  constructor(owner: ReadingOwner, wheel: TimerWheel) {
    this.#owner = owner
    this.#wheel = wheel
  }

  hold(by: Holder): void {
    this.#holders |= by
    this.#owner.pauseReading()
  }

  release(by: Holder): void {
    this.#holders &= ~by
    if (this.#holders === 0) this.#owner.resumeReading()
  }

  /** Holds it for so many milliseconds, in the name of its rate; false where that is so already. */
  holdFor(milliseconds: number): boolean {
    if ((this.#holders & HELD_BY.rate) !== 0) return false
    this.hold(HELD_BY.rate)
    this.#wheel.set(this, this.#wheel.now() + milliseconds)
    return true
  }

  /** The wheel calls this. */
  onDue(): number {
    this.release(HELD_BY.rate)
    return Number.POSITIVE_INFINITY
  }

  /** Nobody holds it any more. */
  end(): void {
    this.#holders = 0
    this.#wheel.delete(this)
  }
}
