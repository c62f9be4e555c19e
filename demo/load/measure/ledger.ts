import type { Stamp } from '../stamp.ts'
import { FATE, Publisher } from './publisher.ts'

/** The result of a run's messages. */
export interface LedgerTotals {
  /** Messages that publishers were given to send, without refused and unconfirmed ones. */
  readonly published: number
  readonly refused: number
  /** The connection ended before the answer, and no subscriber got it. */
  readonly unconfirmed: number
  /** Deliveries that were due: each published message of a channel to each of its subscribers. */
  readonly expected: number
  readonly delivered: number
  /** Due, and never arrived. */
  readonly lost: number
  /** Arrived again. */
  readonly duplicated: number
  /** Arrived after a later one of the same publisher; counted as delivered too. */
  readonly outOfOrder: number
  /** Arrived on a channel to which its publisher does not publish. */
  readonly misdirected: number
}

/**
 * The due and the received deliveries: for every subscriber and every publisher of its channel the sequence numbers
 * that arrived, so that no loss, duplicate or delay hides another.
 */
export class Ledger {
  readonly #publishers: Publisher[] = []
  /** By group: the numbers of its publishers follow each other. */
  readonly #ranges = new Map<number, Range>()
  readonly #receipts: Receipt[] = []
  delivered = 0
  duplicated = 0
  outOfOrder = 0
  misdirected = 0

  /** All publishers of a group at once, before the first of its messages. */
  addPublishers(group: number, count: number): Publisher[] {
    const first = this.#publishers.length
    this.#ranges.set(group, { first, count })
    const added = Array.from({ length: count }, (_, at) => new Publisher(first + at, group))
    this.#publishers.push(...added)
    return added
  }

  /** From now on all publications of its group are due to this subscriber. Add the group's publishers before. */
  addSubscriber(group: number): Receipt {
    const receipt = new Receipt(this.#ranges.get(group) ?? NOBODY)
    this.#receipts.push(receipt)
    return receipt
  }

  /** Records a message. False if it was no delivery: a duplicate, or not for this subscriber. */
  receive(receipt: Receipt, { publisher, sequence }: Stamp): boolean {
    const { first, count } = receipt.publishers
    const from = this.#publishers[publisher]
    if (from === undefined || publisher < first || publisher >= first + count || sequence >= from.sent) {
      this.misdirected++
      return false
    }
    from.published(sequence)
    const outcome = receipt.enter(publisher - first, sequence)
    if (outcome === 'again') {
      this.duplicated++
      return false
    }
    this.delivered++
    if (outcome === 'late') this.outOfOrder++
    return true
  }

  /** Whether every remaining subscriber has got everything that was sent, as far as known. */
  isComplete(): boolean {
    return this.#receipts.every((receipt) => this.#lostBy(receipt) === 0)
  }

  totals(): LedgerTotals {
    const counts = this.#publishers.map((publisher) => publisher.count())
    const sum = (fate: keyof typeof FATE) => counts.reduce((total, count) => total + count[fate], 0)
    const lost = this.#receipts.reduce((total, receipt) => total + this.#lostBy(receipt), 0)
    const { delivered, duplicated, outOfOrder, misdirected } = this
    return {
      // A message that was sent, never refused and never seen counts as published: it is lost.
      published: sum('published') + sum('open'),
      refused: sum('refused'),
      unconfirmed: sum('unconfirmed'),
      expected: delivered + lost,
      delivered,
      lost,
      duplicated,
      outOfOrder,
      misdirected
    }
  }

  #lostBy(receipt: Receipt): number {
    const { first, count } = receipt.publishers
    let lost = 0
    for (let local = 0; local < count; local++) {
      const publisher = this.#publishers[first + local] as Publisher
      for (const sequence of receipt.missing(local, publisher.sent)) {
        const fate = publisher.fate(sequence)
        if (fate === FATE.published || fate === FATE.open) lost++
      }
    }
    return lost
  }
}

interface Range {
  readonly first: number
  readonly count: number
}

const NOBODY: Range = { first: 0, count: 0 }
const NONE: ReadonlySet<number> = new Set()

/** The messages that one subscriber got of each publisher of its group. */
export class Receipt {
  readonly publishers: Range
  /** By the publisher's number in the group: the lowest sequence number above all that arrived. */
  readonly #next: Uint32Array
  /** Numbers that were skipped, and have not arrived since. */
  readonly #gaps = new Map<number, Set<number>>()
  #ended = false

  constructor(publishers: Range) {
    this.publishers = publishers
    this.#next = new Uint32Array(publishers.count)
  }

  enter(local: number, sequence: number): 'next' | 'late' | 'again' {
    const next = this.#next[local] as number
    if (sequence >= next) {
      for (let skipped = next; skipped < sequence; skipped++) this.#gap(local).add(skipped)
      this.#next[local] = sequence + 1
      return 'next'
    }
    return this.#gaps.get(local)?.delete(sequence) ? 'late' : 'again'
  }

  /** The subscriber left for good. No message after the last one that it got is due to it. */
  end(): void {
    this.#ended = true
  }

  *missing(local: number, sent: number): Generator<number> {
    yield* this.#gaps.get(local) ?? NONE
    if (this.#ended) return
    for (let sequence = this.#next[local] as number; sequence < sent; sequence++) yield sequence
  }

  #gap(local: number): Set<number> {
    let gap = this.#gaps.get(local)
    if (gap === undefined) {
      gap = new Set()
      this.#gaps.set(local, gap)
    }
    return gap
  }
}
