import type { Duplex } from 'node:stream'

/**
 * Limits how many bytes a peer may send in all, until the limit is lifted. It counts the bytes of the stream before
 * `ws` reads them, so a message that never ends is limited too.
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
