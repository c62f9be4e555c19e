import { Duplex } from 'node:stream'

/** A socket whose reader takes something only when told to. */
export class SlowStream extends Duplex {
  /** What was taken, one chunk for each write that reached the kernel. */
  readonly taken: Buffer[] = []
  #pending: (() => void) | undefined

  constructor(highWaterMark = 1_024) {
    super({ highWaterMark })
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: string, callback: () => void): void {
    this.taken.push(chunk)
    this.#pending = callback
  }

  /** The reader takes all that waits; resolves once the stream has said so. */
  async drain(): Promise<void> {
    while (this.#pending !== undefined) {
      const callback = this.#pending
      this.#pending = undefined
      callback()
      await new Promise(setImmediate)
    }
  }
}
