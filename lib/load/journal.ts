import { Ledger, type Publisher, type Receipt } from './ledger.ts'
import { readStamp } from './stamp.ts'
import { newHistogram, record, rounded } from './times.ts'
import type { WireEnd } from './wire.ts'

/** What a connection receives: a channel, a room, or on an echo route its own messages. */
export interface Feed {
  readonly group: number
  /** The channel's name. Rooms have none: the server knows them by the path. */
  readonly channel: string
  /** The position up to which the connection has everything. Without an epoch it is not known. */
  offset: number
  epoch: string
  /** Undefined until messages are due. */
  receipt: Receipt | undefined
}

/** A message to be sent, as JSON. */
export interface Outgoing {
  readonly publisher: Publisher
  readonly sequence: number
  readonly feed: Feed
  readonly text: string
}

export type Counts = Record<string, number>

const add = (counts: Counts, name: string | number) => {
  counts[name] = (counts[name] ?? 0) + 1
}

/** What the connections of a run saw. They report it here. */
export class Journal {
  readonly ledger = new Ledger()
  /** Deliveries to readers that are not slow, from when the message was due: since the last moment, and before it. */
  readonly latestLatency = newHistogram()
  readonly latency = newHistogram()
  readonly connectTime = newHistogram()
  readonly closes: Counts = {}
  readonly refusals: Counts = {}
  readonly failures: Counts = {}
  readonly rejections: Counts = {}
  readonly recoveries = { recovered: 0, notRecovered: 0 }
  /** Connections that took part at some time. */
  everOpened = 0
  reconnections = 0
  /** `milliseconds`: until the last was connected again. Null while some are missing. */
  storm: { readonly cut: number; back: number; milliseconds: number | null } | null = null
  readonly #run: string
  readonly #origin: number
  #missing: ReadonlySet<object> = new Set()
  #stormBegan = 0

  /** @param origin The zero of due times, by `performance.now()`. */
  constructor(run: string, origin: number) {
    this.#run = run
    this.#origin = origin
  }

  stormBegins(cut: ReadonlySet<object>): void {
    this.#missing = cut
    this.#stormBegan = performance.now()
    this.storm = { cut: cut.size, back: 0, milliseconds: null }
  }

  /** A client takes part, so many milliseconds after it began to connect. */
  opened(milliseconds: number): void {
    this.everOpened++
    record(this.connectTime, milliseconds)
  }

  returned(client: object): void {
    this.reconnections++
    if (!this.#missing.has(client) || this.storm === null || this.storm.back === this.storm.cut) return
    this.storm.back++
    if (this.storm.back === this.storm.cut) this.storm.milliseconds = rounded(performance.now() - this.#stormBegan)
  }

  left(feeds: readonly Feed[]): void {
    for (const { receipt } of feeds) if (receipt !== undefined) receipt.ended = true
  }

  /** A connection ended or failed, not by this side. */
  ended(end: WireEnd): void {
    if ('code' in end) add(this.closes, end.code)
    else if ('status' in end) add(this.refusals, end.status)
    else add(this.failures, end.reason)
  }

  received({ receipt }: Feed, message: unknown, isSlow: boolean): void {
    const stamp = readStamp(message, this.#run)
    if (stamp === undefined || receipt === undefined) return
    if (this.ledger.receive(receipt, stamp) && !isSlow) {
      record(this.latestLatency, performance.now() - this.#origin - stamp.due / 1000)
    }
  }

  /** A client asked for missed messages. It got all, or the answer that this is not possible. */
  recovered(all: boolean): void {
    this.recoveries[all ? 'recovered' : 'notRecovered']++
  }

  /** The server refused a message: the one with that number, if it said so. */
  rejected(code: string, publisher: Publisher | undefined, sequence?: number): void {
    add(this.rejections, code)
    publisher?.refused(sequence)
  }
}
