import type { BrokerListener, HistoryPage, HistoryQuery, Publication } from '../../lib/broker/broker.ts'
import { MemoryBroker } from '../../lib/broker/memory/memory-broker.ts'

/** How much of a channel is in a page at most: little, so that a recovery takes several. */
export const PAGE = 4

interface Stored {
  epoch: string
  offset: number
  kept: Publication[]
}

interface Call<Value> {
  readonly channel: string
  /** The server has done it: what it answers stands, whatever happens next. */
  done: Value | undefined
  run(): Value
  resolve(value: Value): void
  reject(error: Error): void
}

/** What becomes of a publication on its way to the node. */
export type Fate = 'kept' | 'lost' | 'twice'

/**
 * A broker of which each step is taken by the test: a command reaches the server, its answer comes or doesn't, a
 * message arrives at the node. In the order that one connection for commands and one for messages would keep.
 */
export class ScriptedBroker extends MemoryBroker {
  readonly #stored = new Map<string, Stored>()
  readonly #subscribed = new Set<string>()
  readonly #calls: Call<HistoryPage>[] = []
  /** What is on its way to the node: publications, and confirmations of subscriptions. */
  readonly #wire: (() => void)[] = []
  #listener: BrokerListener | undefined
  #epochs = 0
  /** Nothing can be asked. */
  away = false
  /** Everything is answered and arrives by itself: with a turn of its own, as what comes from a network does. */
  prompt = false

  override get up(): boolean {
    return !this.away
  }

  /** Channels that the node is subscribed to. */
  get subscriptions(): ReadonlySet<string> {
    return this.#subscribed
  }

  override async start(listener: BrokerListener): Promise<void> {
    this.#listener = listener
  }

  override subscribe(channel: string): Promise<void> {
    if (this.away) return Promise.reject(new Error('away'))
    this.#subscribed.add(channel)
    return new Promise((resolve) => this.#send(resolve))
  }

  override async unsubscribe(channel: string): Promise<void> {
    this.#subscribed.delete(channel)
  }

  override history(channel: string, query: HistoryQuery): Promise<HistoryPage> {
    if (this.away) return Promise.reject(new Error('away'))
    return new Promise((resolve, reject) => {
      this.#calls.push({ channel, done: undefined, run: () => this.#page(channel, query), resolve, reject })
      if (this.prompt) setImmediate(() => this.answer(1))
    })
  }

  /** Somebody publishes: with history where the channel's name begins with `h`. */
  append(channel: string, id: number, fate: Fate): Publication {
    const data = Buffer.from(JSON.stringify({ id, padding: '.'.repeat((id * 37) % 90) }))
    const tags = new Map([['third', `${id % 3 === 0}`]])
    let publication: Publication = { offset: 0, epoch: '', data, tags }
    if (channel.startsWith('h')) {
      const stored = this.stored(channel)
      publication = { offset: ++stored.offset, epoch: stored.epoch, data, tags }
      stored.kept.push(publication)
    }
    if (!this.#subscribed.has(channel) || fate === 'lost') return publication
    for (let times = fate === 'twice' ? 2 : 1; times > 0; times--) {
      this.#send(() => this.#listener?.publication(channel, publication))
    }
    return publication
  }

  /** Messages arrive at the node. */
  arrive(count: number): void {
    for (const message of this.#wire.splice(0, count)) message()
  }

  /** The server does what it was asked for, and doesn't answer yet. */
  work(count: number): void {
    for (const call of this.#calls.filter(({ done }) => done === undefined).slice(0, count)) call.done = call.run()
  }

  /** The oldest calls are answered. */
  answer(count: number): void {
    this.work(count)
    for (const { resolve, done } of this.#calls.splice(0, count)) resolve(done as HistoryPage)
  }

  /** The oldest calls fail. */
  fail(count: number): void {
    for (const { reject } of this.#calls.splice(0, count)) reject(new Error('no answer'))
  }

  /** A new epoch: the newest `lost` publications are gone; with all of them, the counter begins again. */
  reset(channel: string, lost: number): void {
    const stored = this.stored(channel)
    stored.epoch = this.#newEpoch()
    stored.offset = Math.max(0, stored.offset - lost)
    stored.kept = stored.kept
      .filter(({ offset }) => offset <= stored.offset)
      .map((publication) => ({ ...publication, epoch: stored.epoch }))
  }

  /** Only the newest stay in history. */
  trim(channel: string, kept: number): void {
    const stored = this.stored(channel)
    stored.kept = stored.kept.slice(Math.max(0, stored.kept.length - kept))
  }

  stored(channel: string): Stored {
    let stored = this.#stored.get(channel)
    if (stored === undefined) {
      stored = { epoch: this.#newEpoch(), offset: 0, kept: [] }
      this.#stored.set(channel, stored)
    }
    return stored
  }

  #page(channel: string, { since, limit }: HistoryQuery): HistoryPage {
    const { kept, offset, epoch } = this.stored(channel)
    const after = kept.filter((publication) => since === undefined || publication.offset > since.offset)
    return { publications: after.slice(0, Math.min(limit, PAGE)), position: { offset, epoch } }
  }

  #send(message: () => void): void {
    this.#wire.push(message)
    if (this.prompt) setImmediate(() => this.arrive(1))
  }

  #newEpoch(): string {
    return `e${++this.#epochs}`
  }
}
