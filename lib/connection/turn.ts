import { rethrow } from '../input/thrown.ts'

/** Frames for one outbox or many (a channel's subscribers), gathered during one turn of the event loop. */
export interface Batch {
  /** Hands what was gathered to each outbox, and starts anew. */
  handOut(): void
}

/** Frames that wait to be written to one connection: an outbox. */
export interface Flushable {
  /** Writes them. */
  flush(): void
  /** Something was lost: the connection ends. */
  fail(): void
}

/**
 * Gathers what is sent during one turn of the event loop, so that it leaves in one write per socket. A kernel write
 * costs 6 to 8 µs and is most of the price of a fan-out: eight messages in one write are worth almost eight times.
 */
export class Turn {
  #outboxes: Flushable[] = []
  #batches: Batch[] = []
  #armed = false
  readonly #flush = () => this.flush()
  /** Reports an error in one batch, outbox or callback, while the others go on. */
  readonly report: (error: unknown) => void

  /** @param report Throws the error by default. */
  constructor(report: (error: unknown) => void = rethrow) {
    this.report = report
  }

  /** The outbox has something to write at the end of the turn. */
  addOutbox(outbox: Flushable): void {
    this.#outboxes.push(outbox)
    this.#arm()
  }

  /** The batch has something to hand out at the end of the turn. */
  addBatch(batch: Batch): void {
    this.#batches.push(batch)
    this.#arm()
  }

  /** True while there may be something to hand out. */
  get hasBatches(): boolean {
    return this.#batches.length > 0
  }

  flush(): void {
    const batches = this.#batches
    this.#batches = []
    for (const batch of batches) this.handOut(batch)
    const outboxes = this.#outboxes
    this.#outboxes = []
    this.#armed = false
    for (const outbox of outboxes) this.#write(outbox)
  }

  /** Seals a batch. An error in it is reported: what else is handed out in this turn must not be lost for it. */
  handOut(batch: Batch): void {
    try {
      batch.handOut()
    } catch (error) {
      this.report(error)
    }
  }

  /** Runs what nobody waits for. An error is reported. */
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

  #arm(): void {
    if (this.#armed) return
    this.#armed = true
    setImmediate(this.#flush)
  }
}
