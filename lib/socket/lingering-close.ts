import type { Duplex } from 'node:stream'
import type { Timed, TimerWheel } from '../timing/timer-wheel.ts'

// A peer that sends nothing for so long (milliseconds, one tick of the wheel) has stopped sending.
const QUIET = 50

/**
 * Delays the end of a stream until its peer has stopped sending (nginx calls this a lingering close). After a peer's
 * fault `ws` ends the stream right behind the close frame. If the message was too large, a proxy may still be sending
 * the rest of it: the proxy sees its upstream closed and cuts its client, which never receives the 1009 (RFC 9112
 * section 9.6 describes the same for HTTP). The delay is never longer than the close timeout of `ws`.
 */
export class LingeringClose implements Timed {
  readonly #stream: Duplex & { bytesRead?: number }
  readonly #end: () => void
  #bytesRead: number | undefined
  wheelTick = -1

  constructor(stream: Duplex, wheel: TimerWheel) {
    const { end } = stream
    this.#stream = stream
    this.#end = () => {
      stream.end = end
      stream.end()
    }
    stream.end = () => {
      this.#bytesRead = this.#stream.bytesRead
      wheel.set(this, wheel.now() + QUIET)
      return stream
    }
    stream.once('close', () => wheel.delete(this))
  }

  /** The wheel calls this. */
  onDue(now: number): number {
    const { bytesRead } = this.#stream
    if (bytesRead !== this.#bytesRead) {
      this.#bytesRead = bytesRead
      return now + QUIET
    }
    this.#end()
    return Number.POSITIVE_INFINITY
  }
}
