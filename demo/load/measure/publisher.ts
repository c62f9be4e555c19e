/** The fate of a message. */
export const FATE = {
  /** Sent, and neither answered nor seen yet. */
  open: 0,
  /** Confirmed, or seen by a subscriber: all of them must get it. */
  published: 1,
  /** Refused by the server: no subscriber gets it. */
  refused: 2,
  /** The connection ended before the answer: it may have been published or not. */
  unconfirmed: 3
} as const
export type Fate = (typeof FATE)[keyof typeof FATE]

const FIRST_CAPACITY = 256

/** The messages of one publisher, by their sequence numbers. */
export class Publisher {
  /** Its number in the run. */
  readonly index: number
  /** Number of its channel or room (or of its connection, on an echo route). */
  readonly group: number
  #fates = new Uint8Array(FIRST_CAPACITY)
  #sent = 0
  /** All below this number are settled: the search for open ones begins here. */
  #settledBelow = 0
  /** Answers with an error that did not name their message. */
  #errors = 0

  constructor(index: number, group: number) {
    this.index = index
    this.group = group
  }

  /** How many sequence numbers were given out. */
  get sent(): number {
    return this.#sent
  }

  /** The next sequence number. */
  next(): number {
    if (this.#sent === this.#fates.length) {
      const larger = new Uint8Array(this.#fates.length * 2)
      larger.set(this.#fates)
      this.#fates = larger
    }
    return this.#sent++
  }

  fate(sequence: number): Fate {
    return this.#fates[sequence] as Fate
  }

  published(sequence: number): void {
    this.#fates[sequence] = FATE.published
  }

  /** Has no effect on a message that was seen. */
  refused(sequence: number): void {
    if (this.#fates[sequence] !== FATE.published) this.#fates[sequence] = FATE.refused
  }

  /** One of the open messages was refused, and the server did not name it. */
  refusedOne(): void {
    this.#errors++
  }

  /** Its connection ended. */
  interrupted(): void {
    this.#settleErrors()
    for (const sequence of this.#open()) this.#fates[sequence] = FATE.unconfirmed
    this.#settledBelow = this.#sent
  }

  /** How many messages had each fate. Open ones were sent, got no answer, and were seen by no subscriber. */
  count(): Readonly<Record<keyof typeof FATE, number>> {
    this.#settleErrors()
    const counts = { open: 0, published: 0, refused: 0, unconfirmed: 0 }
    const names = Object.keys(FATE) as (keyof typeof FATE)[]
    for (let sequence = 0; sequence < this.#sent; sequence++) {
      counts[names[this.#fates[sequence] as number] as keyof typeof FATE]++
    }
    return counts
  }

  /** The errors belong to open messages. It makes no difference to the figures which. */
  #settleErrors(): void {
    if (this.#errors === 0) return
    for (const sequence of this.#open()) {
      if (this.#errors === 0) return
      this.#fates[sequence] = FATE.refused
      this.#errors--
    }
  }

  *#open(): Generator<number> {
    for (let sequence = this.#settledBelow; sequence < this.#sent; sequence++) {
      if (this.#fates[sequence] === FATE.open) yield sequence
    }
  }
}
