import type { Duplex } from 'node:stream'

/**
 * What a peer may send in all, in bytes of its stream, until that is lifted. It counts before `ws` reads: a message that
 * never ends is bounded too.
 */
export class Allowance {
  readonly #stream: Duplex
  readonly #exceeded: () => void
  #left: number

  constructor(stream: Duplex, bytes: number, exceeded: () => void) {
    this.#stream = stream
    this.#left = bytes
    this.#exceeded = exceeded
    stream.prependListener('data', this.#onData)
  }

  lift(): void {
    this.#stream.off('data', this.#onData)
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#left -= chunk.length
    if (this.#left >= 0) return
    this.lift()
    this.#exceeded()
  }
}
