import type { Stamp } from './stamp.ts'

/** What became of a message. Open: neither answered nor seen. Unconfirmed: its connection was cut before the answer. */
const FATE = { open: 0, published: 1, refused: 2, unconfirmed: 3 }

export class Publisher {
  readonly index: number
  readonly fates: number[] = []
  /** Answers with an error that did not name their message. */
  #errors = 0
  #settledBelow = 0

  constructor(index: number) {
    this.index = index
  }

  next(): number {
    return this.fates.push(FATE.open) - 1
  }

  published(sequence: number): void {
    this.fates[sequence] = FATE.published
  }

  /** Has no effect on a message that was seen. Without a number, the server did not say which message it refused. */
  refused(sequence?: number): void {
    if (sequence === undefined) this.#errors++
    else if (this.fates[sequence] !== FATE.published) this.fates[sequence] = FATE.refused
  }

  /** Its connection ended: open messages may have been published or not. */
  interrupted(): void {
    this.settle()
    this.#replaceOpen(this.fates.length, FATE.unconfirmed)
    this.#settledBelow = this.fates.length
  }

  /** Gives the errors without a number to open messages. To which makes no difference to the figures. */
  settle(): void {
    this.#errors -= this.#replaceOpen(this.#errors, FATE.refused)
  }

  #replaceOpen(most: number, fate: number): number {
    let replaced = 0
    for (let at = this.#settledBelow; at < this.fates.length && replaced < most; at++) {
      if (this.fates[at] !== FATE.open) continue
      this.fates[at] = fate
      replaced++
    }
    return replaced
  }
}

/** What one subscriber got from each publisher of its group. */
export interface Receipt {
  readonly publishers: readonly Publisher[]
  /** For each publisher: the number above all that arrived, and the numbers that were skipped. */
  readonly progress: readonly { next: number; readonly gaps: Set<number> }[]
  /** The subscriber left for good: nothing after the last message that it got is due to it. */
  ended: boolean
}

/** The due and the received deliveries, one by one: no loss, duplicate or delay hides another. */
export class Ledger {
  readonly #publishers: Publisher[] = []
  readonly #receipts: Receipt[] = []
  delivered = 0
  #duplicated = 0
  #outOfOrder = 0
  #misdirected = 0

  addPublishers(count: number): readonly Publisher[] {
    const added = Array.from({ length: count }, (_, at) => new Publisher(this.#publishers.length + at))
    this.#publishers.push(...added)
    return added
  }

  /** From now on all messages of these publishers are due to this subscriber. */
  addSubscriber(publishers: readonly Publisher[]): Receipt {
    const receipt = { publishers, progress: publishers.map(() => ({ next: 0, gaps: new Set<number>() })), ended: false }
    this.#receipts.push(receipt)
    return receipt
  }

  /** Records a message. False if it is no delivery: a duplicate, or a message for others. */
  receive({ publishers, progress }: Receipt, { publisher, sequence }: Stamp): boolean {
    const local = publisher - (publishers[0]?.index ?? 0)
    const from = publishers[local]
    const state = progress[local]
    if (from === undefined || state === undefined || sequence >= from.fates.length) {
      this.#misdirected++
      return false
    }
    from.published(sequence)
    if (sequence >= state.next) {
      for (; state.next < sequence; state.next++) state.gaps.add(state.next)
      state.next++
    } else if (state.gaps.delete(sequence)) {
      this.#outOfOrder++
    } else {
      this.#duplicated++
      return false
    }
    this.delivered++
    return true
  }

  /** True if every remaining subscriber has everything that was sent, as far as known. */
  isComplete(): boolean {
    return this.#receipts.every((receipt) => lostBy(receipt) === 0)
  }

  totals() {
    for (const publisher of this.#publishers) publisher.settle()
    const count = (fate: number) =>
      this.#publishers.reduce((sum, { fates }) => sum + fates.filter((each) => each === fate).length, 0)
    const lost = this.#receipts.reduce((sum, receipt) => sum + lostBy(receipt), 0)
    return {
      // A message that was sent, never refused and never seen counts too: it is lost.
      published: count(FATE.published) + count(FATE.open),
      refused: count(FATE.refused),
      unconfirmed: count(FATE.unconfirmed),
      expected: this.delivered + lost,
      delivered: this.delivered,
      lost,
      duplicated: this.#duplicated,
      /** Arrived after a later one of the same publisher. They count as delivered too. */
      outOfOrder: this.#outOfOrder,
      misdirected: this.#misdirected
    }
  }
}

function lostBy({ publishers, progress, ended }: Receipt): number {
  let lost = 0
  for (const [local, { next, gaps }] of progress.entries()) {
    const { fates } = publishers[local] as Publisher
    const isDue = (sequence: number) => fates[sequence] === FATE.open || fates[sequence] === FATE.published
    for (const sequence of gaps) if (isDue(sequence)) lost++
    for (let sequence = next; !ended && sequence < fates.length; sequence++) if (isDue(sequence)) lost++
  }
  return lost
}
