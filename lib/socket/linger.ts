import type { Duplex } from 'node:stream'
import type { Timed, TimerWheel } from '../timing/timer-wheel.ts'

// A peer that has sent nothing for so long (milliseconds, one tick of the wheel) is taken to have stopped.
const QUIET = 50

/**
 * Delays the end of a stream until its peer has stopped sending. After a peer's fault `ws` ends the stream right behind
 * the close frame; a proxy that is still busy with the rest of a message too large sees its upstream gone, cuts its
 * client, and the client never sees the 1009 (RFC 9112 section 9.6 has the same for HTTP). `ws`'s own close timeout
 * bounds it.
 */
export class Linger implements Timed {
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
