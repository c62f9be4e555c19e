import { rethrow } from '../input/thrown.ts'

/**
 * When a batch is handed out: during the turn, because something else has to stand behind it; at the end of the turn;
 * or as the last shared one at the end of the turn, after which nothing is gathered for many outboxes.
 */
export type Moment = 'during' | 'end' | 'last'

/** Frames gathered during one turn of the event loop: shared by many outboxes (a channel's subscribers), or for one. */
export interface Batch {
  /** True if the frames are for one outbox alone. */
  readonly isPrivate?: boolean
  /** Hands what was gathered to each outbox, and starts anew. */
  handOut(moment: Moment): void
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
    const last = batches.findLastIndex(({ isPrivate }) => !isPrivate)
    for (const [at, batch] of batches.entries()) this.handOut(batch, at === last ? 'last' : 'end')
    const outboxes = this.#outboxes
    this.#outboxes = []
    this.#armed = false
    // What was gathered while the batches were handed out belongs to the next turn.
    if (this.#batches.length > 0) this.#arm()
    for (const outbox of outboxes) this.#write(outbox)
  }

  /** Hands out a batch. An error in it is reported: the other batches of this turn must not be lost for it. */
  handOut(batch: Batch, moment: Moment): void {
    try {
      batch.handOut(moment)
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
