import type { Log } from '../input/guarded-log.ts'
import type { TimerWheel } from '../timing/timer-wheel.ts'
import { TokenBucket } from '../timing/token-bucket.ts'

// Lines about one client: ten at once, then one per second.
const LINES = { rate: 1, burst: 10 }

/**
 * Limits the log lines of one kind about one client. Without a limit, a client could fill the disk with lines that its
 * requests cause. A line says how many lines before it were left out.
 */
export class BoundedLog implements Pick<Log, 'error' | 'info'> {
  readonly #log: Log
  readonly #wheel: TimerWheel
  readonly #bucket: TokenBucket
  #omitted = 0

  constructor(log: Log, wheel: TimerWheel) {
    this.#log = log
    this.#wheel = wheel
    this.#bucket = new TokenBucket(LINES, wheel.now())
  }

  error(members: object, message: string): void {
    const line = this.#lineOf(members)
    if (line !== undefined) this.#log.error(line, message)
  }

  info(members: object, message: string): void {
    const line = this.#lineOf(members)
    if (line !== undefined) this.#log.info(line, message)
  }

  /** Undefined if the line is left out. */
  #lineOf(members: object): object | undefined {
    if (this.#bucket.take(this.#wheel.now()) > 0) {
      this.#omitted++
      return undefined
    }
    const omitted = this.#omitted
    this.#omitted = 0
    return omitted === 0 ? members : { ...members, omitted }
  }
}
