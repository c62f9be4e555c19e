import type { Log } from '../input/guarded-log.ts'
import type { TimerWheel } from '../timing/timer-wheel.ts'
import { TokenBucket } from '../timing/token-bucket.ts'

// Lines about one client: ten at once, then one a second.
const LINES = { rate: 1, burst: 10 }

/**
 * For lines of one kind about one client, which can cause them as often as it asks: nobody fills a disk by asking. A line
 * says how many before it were left out.
 */
export class BoundedLog implements Pick<Log, 'error' | 'info'> {
  readonly #log: Log
  readonly #wheel: TimerWheel
  readonly #room: TokenBucket
  #omitted = 0

  constructor(log: Log, wheel: TimerWheel) {
    this.#log = log
    this.#wheel = wheel
    this.#room = new TokenBucket(LINES, wheel.now())
  }

  error(members: object, message: string): void {
    const line = this.#lineOf(members)
    if (line !== undefined) this.#log.error(line, message)
  }

  info(members: object, message: string): void {
    const line = this.#lineOf(members)
    if (line !== undefined) this.#log.info(line, message)
  }

  /** Undefined if it is left out. */
  #lineOf(members: object): object | undefined {
    if (this.#room.take(this.#wheel.now()) > 0) {
      this.#omitted++
      return undefined
    }
    const omitted = this.#omitted
    this.#omitted = 0
    return omitted === 0 ? members : { ...members, omitted }
  }
}
