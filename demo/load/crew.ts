import type { Client, ClientObserver } from './client/client.ts'
import type { Outgoing, Subscription } from './client/subscription.ts'
import { Histogram } from './measure/histogram.ts'
import { Ledger } from './measure/ledger.ts'
import { Tally } from './measure/tally.ts'
import { interleave } from './plan.ts'
import type { Outlet } from './sender.ts'
import { readStamp } from './stamp.ts'

/** The result of a storm. */
export interface Storm {
  /** Connections that were cut at once. */
  readonly cut: number
  /** How many of them were connected again. */
  back: number
  /** From the cut until the last was connected again; undefined while some are missing. */
  milliseconds: number | undefined
}

// A server accepts this many at once and lets the others wait, which would count as its slowness.
const OPENING_AT_ONCE = 256
const TICK = 5

/** All connections of a run, and their results. */
export class Crew implements ClientObserver {
  readonly ledger = new Ledger()
  /** Of deliveries to readers that are not slow, from when the message was due. */
  readonly latency = new Histogram()
  /** The same since it was last reset. */
  readonly latestLatency = new Histogram()
  readonly connectTime = new Histogram()
  readonly closes = new Tally<number>()
  readonly refusals = new Tally<number>()
  readonly failures = new Tally<string>()
  readonly rejections = new Tally<string>()
  readonly recoveries = { recovered: 0, notRecovered: 0 }
  readonly clients: readonly Client[]
  /** Connections that took part at some time. */
  everOpened = 0
  reconnections = 0
  /** Publications for which servers sent a notice that they dropped them for slow readers. */
  announcedDrops = 0
  storm: Storm | undefined
  readonly #run: string
  readonly #origin: number
  readonly #missingSinceStorm = new Set<Client>()
  #stormBegan = 0

  constructor(run: string, origin: number, makeClients: (observer: ClientObserver) => readonly Client[]) {
    this.#run = run
    this.#origin = origin
    this.clients = makeClients(this)
  }

  /** Opens all, evenly over this many milliseconds, or as fast as the server accepts them. */
  open(ramp: number, signal: AbortSignal): Promise<void> {
    const total = this.clients.length
    const start = performance.now()
    let begun = 0
    let settled = 0
    return new Promise((resolve) => {
      const next = () => {
        const elapsed = performance.now() - start
        const due = signal.aborted ? begun : ramp === 0 ? total : Math.min(total, Math.ceil((elapsed / ramp) * total))
        while (begun < due && begun - settled < OPENING_AT_ONCE) {
          void (this.clients[begun++] as Client).open().then(() => settled++)
        }
        if (signal.aborted || settled === total) {
          clearInterval(timer)
          resolve()
        }
      }
      const timer = setInterval(next, TICK)
      next()
    })
  }

  /**
   * Chooses the publishers among the connections that take part. From now on every publication is due to each
   * subscriber.
   */
  begin(publishersOf: (able: number) => number): Outlet[] {
    const members = new Map<number, { client: Client; subscription: Subscription }[]>()
    for (const client of this.clients) {
      if (!client.isReady && !client.isAway) continue
      for (const subscription of client.subscriptions) {
        const group = members.get(subscription.group)
        if (group === undefined) members.set(subscription.group, [{ client, subscription }])
        else group.push({ client, subscription })
      }
    }
    const outlets = [...members].map(([group, all]) => {
      const able = all.filter(({ client }) => !client.isSlow)
      const publishers = this.ledger.addPublishers(group, publishersOf(able.length))
      for (const { subscription } of all) subscription.receipt = this.ledger.addSubscriber(group)
      return publishers.map((publisher, at) => {
        const { client, subscription } = able[at] as (typeof able)[number]
        client.publishers.push(publisher)
        return { publisher, client, subscription }
      })
    })
    return interleave(outlets)
  }

  /** Cuts every connection. */
  cutAll(): void {
    this.#stormBegan = performance.now()
    for (const client of this.clients) if (client.cut()) this.#missingSinceStorm.add(client)
    this.storm = { cut: this.#missingSinceStorm.size, back: 0, milliseconds: undefined }
  }

  /** How many take part at the moment. */
  get present(): number {
    return this.clients.reduce((count, client) => count + (client.isReady ? 1 : 0), 0)
  }

  /** Whether some are between two connections. */
  get hasAbsentees(): boolean {
    return this.clients.some((client) => client.isAway)
  }

  /** No longer waits for connections that are missing. */
  abandonAbsentees(): void {
    for (const client of this.clients) if (client.isAway) client.abandon()
  }

  async close(): Promise<void> {
    await Promise.all(this.clients.map((client) => client.close()))
  }

  opened(milliseconds: number): void {
    this.everOpened++
    this.connectTime.record(milliseconds * 1000)
  }

  returned(client: Client): void {
    this.reconnections++
    if (!this.#missingSinceStorm.delete(client) || this.storm === undefined) return
    this.storm.back++
    if (this.#missingSinceStorm.size === 0) this.storm.milliseconds = performance.now() - this.#stormBegan
  }

  closed(code: number): void {
    this.closes.add(code)
  }

  left(client: Client): void {
    for (const { receipt } of client.subscriptions) receipt?.end()
  }

  refused(status: number): void {
    this.refusals.add(status)
  }

  failed(reason: string): void {
    this.failures.add(reason)
  }

  received(client: Client, subscription: Subscription, message: unknown): void {
    const stamp = readStamp(message, this.#run)
    if (stamp === undefined || subscription.receipt === undefined) return
    if (!this.ledger.receive(subscription.receipt, stamp) || client.isSlow) return
    const microseconds = (performance.now() - this.#origin) * 1000 - stamp.due
    this.latency.record(microseconds)
    this.latestLatency.record(microseconds)
  }

  recovered(all: boolean): void {
    if (all) this.recoveries.recovered++
    else this.recoveries.notRecovered++
  }

  dropped(count: number): void {
    this.announcedDrops += count
  }

  confirmed({ publisher, sequence }: Outgoing): void {
    publisher.published(sequence)
  }

  rejected(client: Client, code: string, message: Outgoing | undefined): void {
    this.rejections.add(code)
    if (message !== undefined) message.publisher.refused(message.sequence)
    else client.publishers[0]?.refusedOne()
  }
}
