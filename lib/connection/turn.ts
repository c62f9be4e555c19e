import { rethrow } from '../input/thrown.ts'

/**
 * When a batch is handed out:
 * - `during`: during the turn, because other frames have to come after it.
 * - `end`: at the end of the turn.
 * - `last`: at the end of the turn, as the last batch for several outboxes.
 */
export type Moment = 'during' | 'end' | 'last'

/** Frames collected during one turn of the event loop, for many outboxes (a channel's subscribers) or for one. */
export interface Batch {
  /** True if the frames are for one outbox alone. */
  readonly isPrivate?: boolean
  /** Hands the collected frames to each outbox. The batch is empty afterwards. */
  handOut(moment: Moment): void
}

/** Frames that wait to be written to one connection: an outbox. */
export interface Flushable {
  /** Writes them. */
  flush(): void
  /** Something was lost: ends the connection. */
  fail(): void
}

/**
 * Collects what is sent during one turn of the event loop, so that each socket needs one write. A write to the kernel
 * takes 6 to 8 µs, which is most of the time of a fan-out: eight messages in one write are almost eight times as fast.
 */
export class Turn {
  #outboxes: Flushable[] = []
  #batches: Batch[] = []
  #isScheduled = false
  readonly #flush = () => this.flush()
  /** Reports an error in one batch, outbox or callback. The others are not affected. */
  readonly report: (error: unknown) => void

  /** @param report Throws the error by default. */
  constructor(report: (error: unknown) => void = rethrow) {
    this.report = report
  }

  /** The outbox has something to write at the end of the turn. */
  addOutbox(outbox: Flushable): void {
    this.#outboxes.push(outbox)
    this.#schedule()
  }

  /** The batch has something to hand out at the end of the turn. */
  addBatch(batch: Batch): void {
    this.#batches.push(batch)
    this.#schedule()
  }

  /** True while there may be something to hand out. */
  get hasBatches(): boolean {
    return this.#batches.length > 0
  }

  /** Hands out all batches, then writes all outboxes. */
  flush(): void {
    const batches = this.#batches
    this.#batches = []
    const last = batches.findLastIndex(({ isPrivate }) => !isPrivate)
    for (const [at, batch] of batches.entries()) this.handOut(batch, at === last ? 'last' : 'end')
    const outboxes = this.#outboxes
    this.#outboxes = []
    this.#isScheduled = false
    // Frames that were collected while the batches were handed out belong to the next turn.
    if (this.#batches.length > 0) this.#schedule()
    for (const outbox of outboxes) this.#write(outbox)
  }

  /** Hands out a batch. An error is reported, so that the other batches of this turn are not lost. */
  handOut(batch: Batch, moment: Moment): void {
    try {
      batch.handOut(moment)
    } catch (error) {
      this.report(error)
    }
  }

  /** Runs a callback that has no caller to handle its error. An error is reported. */
  attempt(action: () => void): void {
    try {
      action()
    } catch (error) {
      this.report(error)
    }
  }

  #write(outbox: Flushable): void {
    try {
      outbox.flush()
    } catch (error) {
      this.report(error)
      outbox.fail()
    }
  }

  #schedule(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    setImmediate(this.#flush)
  }
}
