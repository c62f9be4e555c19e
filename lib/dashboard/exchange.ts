import { performance } from 'node:perf_hooks'
import type { Publication } from '../broker/broker.ts'
import type { Log } from '../input/guarded-log.ts'
import type { Insight } from '../node/insight.ts'
import { OncePer } from '../timing/once-per.ts'
import type { PageMessage, Snapshot, TableAnswer } from './messages.ts'
import { NodeClocks } from './node-clocks.ts'
import { DASHBOARD_CHANNEL, isAsk, type NodeMessage, readMessage, writeMessage } from './node-message.ts'
import { shifted } from './packing.ts'
import { keyOf, type Query } from './query.ts'
import { Ring } from './ring.ts'
import { Sampler } from './sampler.ts'
import { TableDesk } from './table-desk.ts'

/** An open page. */
export interface Watcher {
  readonly query: Query
  /** Takes one JSON text. */
  send(line: string): void
  end(): void
}

export interface ExchangeOptions {
  readonly insight: Insight
  readonly log: Log
  readonly name: string
  /** Milliseconds since 1970, by a clock that never goes back. */
  readonly now?: () => number
  /** Milliseconds between two snapshots while a page is open. @default 1000 */
  readonly period?: number
}

const PERIOD = 1_000
// Without pages every second snapshot is enough for the ring, and tables are answered in every second period.
const EVERY = 2
// Milliseconds. A node that asked is served for so long: it asks again in each period.
const SERVED = 5_000
// Nodes with pages that are served at a time.
const MAX_ASKING = 1_000
const LOG_INTERVAL = 60_000
// Redis is not available, or was not when it should have answered. The node logs that by itself.
const UNAVAILABLE = new Set<string | undefined>(['FST_RT_UNAVAILABLE', 'FST_RT_UNKNOWN_OUTCOME'])

/**
 * The pages of this node, and what the nodes tell each other for their pages. A node with pages says in each period what
 * they ask for; then all nodes publish what is asked. Without pages nothing is published, and only the ring is filled.
 */
export class Exchange {
  readonly #options: ExchangeOptions
  readonly #now: () => number
  readonly #sampler: Sampler
  readonly #ring = new Ring()
  readonly #clocks = new NodeClocks()
  readonly #desk: TableDesk
  readonly #watchers = new Set<Watcher>()
  /** The nodes with pages: until when they are served, and their queries. */
  readonly #asking = new Map<string, { until: number; queries: readonly Query[] }>()
  readonly #failures = new OncePer(LOG_INTERVAL)
  #timer: NodeJS.Timeout | undefined
  #ticks = 0
  #subscribing = false
  #stopped = false

  constructor(options: ExchangeOptions) {
    const { insight, name, now = () => performance.timeOrigin + performance.now() } = options
    this.#options = options
    this.#now = now
    this.#sampler = new Sampler(insight, name, now)
    this.#desk = new TableDesk({
      insight,
      name,
      now,
      answered: (answer) => this.#answered({ ...answer, node: this.node }),
      failed: (error) => this.#failed(error)
    })
    insight.node.listeners.set(DASHBOARD_CHANNEL, (publication) => this.#receive(publication))
  }

  /** The id of this node, as pages see it. */
  get node(): string {
    return this.#sampler.node
  }

  get pages(): number {
    return this.#watchers.size
  }

  start(): void {
    this.#schedule()
    this.#ring.add(this.#sampler.sample())
  }

  /** A page opens. It gets what this node knows at once, and what other nodes know as they answer. */
  open(watcher: Watcher, past: boolean): void {
    this.#watchers.add(watcher)
    const tell = (message: PageMessage) => watcher.send(JSON.stringify(message))
    tell({ kind: 'hello', node: this.node, now: this.#now() })
    if (past) tell({ kind: 'past', node: this.node, samples: this.#ring.packed() })
    tell({ kind: 'now', snapshot: this.#sampler.sample() })
    this.#desk.ask([watcher.query])
    this.#ask(past)
  }

  /** A page has left. */
  close(watcher: Watcher): void {
    this.#watchers.delete(watcher)
  }

  /** Sends a last snapshot, and ends the pages. */
  async stop(): Promise<void> {
    if (this.#stopped) return
    this.#stopped = true
    clearTimeout(this.#timer)
    this.#desk.stop()
    const published = this.#publishNow(this.#sampler.sample(true))
    for (const watcher of this.#watchers) {
      watcher.send(JSON.stringify({ kind: 'end' } satisfies PageMessage))
      watcher.end()
    }
    this.#watchers.clear()
    await published
  }

  #schedule(): void {
    const { period = PERIOD } = this.#options
    // All nodes at about the same time, so that a page gets one snapshot of each in each period.
    this.#timer = setTimeout(() => this.#tick(), period - (Date.now() % period))
    this.#timer.unref()
  }

  #tick(): void {
    this.#schedule()
    try {
      this.#subscribe()
      for (const [node, { until }] of this.#asking) if (until < this.#now()) this.#asking.delete(node)
      const isRound = this.#ticks++ % EVERY === 0
      const isWatched = this.#watchers.size > 0 || this.#asking.size > 0
      if (!isWatched) {
        this.#desk.rest()
        if (isRound) this.#ring.add(this.#sampler.sample())
        return
      }
      const snapshot = this.#sampler.sample()
      this.#ring.add(snapshot)
      void this.#publishNow(snapshot)
      if (this.#watchers.size > 0) this.#ask(false)
      if (isRound)
        this.#desk.round([...this.#queries(), ...Array.from(this.#asking.values(), ({ queries }) => queries)].flat())
    } catch (error) {
      this.#failed(error)
    }
  }

  /** Until it succeeds: the broker may be away at the start. Afterwards the broker itself subscribes again. */
  #subscribe(): void {
    const { broker } = this.#options.insight.node
    if (this.#subscribing || !broker.up) return
    this.#subscribing = true
    broker.subscribe(DASHBOARD_CHANNEL).catch((error) => {
      this.#subscribing = false
      this.#failed(error)
    })
  }

  #queries(): Query[] {
    return Array.from(this.#watchers, ({ query }) => query)
  }

  #ask(past: boolean): void {
    const queries = new Map(this.#queries().map((query) => [keyOf(query), query]))
    void this.#publish({ kind: 'ask', node: this.node, queries: [...queries.values()], past })
  }

  async #publishNow(snapshot: Snapshot): Promise<void> {
    this.#tell({ kind: 'now', snapshot })
    if (this.#asking.size === 0) return
    await this.#publish({ kind: 'now', node: this.node, sentAt: this.#now(), snapshot })
  }

  #answered(answer: TableAnswer): void {
    this.#tell(answer)
    if (this.#asking.size > 0) void this.#publish(answer)
  }

  /** To the pages of this node. */
  #tell(message: PageMessage): void {
    if (this.#watchers.size === 0) return
    const line = JSON.stringify(message)
    for (const watcher of this.#watchers) {
      if (message.kind !== 'table' || keyOf(watcher.query) === message.query) watcher.send(line)
    }
  }

  /** To the other nodes. */
  async #publish(message: NodeMessage): Promise<void> {
    const { insight } = this.#options
    if (insight.kind === 'memory') return
    try {
      await insight.node.broker.publish(DASHBOARD_CHANNEL, writeMessage(message))
    } catch (error) {
      this.#failed(error)
    }
  }

  #receive({ data }: Publication): void {
    if (this.#stopped || (this.#watchers.size === 0 && !isAsk(data))) return
    const message = readMessage(data)
    if (message === undefined || message.node === this.node) return
    if (message.kind === 'ask') this.#serve(message)
    else if (message.kind === 'table') this.#tell(message)
    else this.#pass(message)
  }

  #serve({ node, queries, past }: NodeMessage & { kind: 'ask' }): void {
    const known = this.#asking.get(node)
    if (known === undefined && this.#asking.size >= MAX_ASKING) return
    const before = new Set(known?.queries.map(keyOf))
    this.#asking.set(node, { until: this.#now() + SERVED, queries })
    // A page that has just opened does not wait for the next period.
    this.#desk.ask(queries.filter((query) => !before.has(keyOf(query))))
    if (!past) return
    void this.#publish({ kind: 'past', node: this.node, sentAt: this.#now(), samples: this.#ring.packed() })
    void this.#publish({ kind: 'now', node: this.node, sentAt: this.#now(), snapshot: this.#sampler.sample() })
  }

  /** Passes on what another node says of itself, in times of our clock. */
  #pass(message: NodeMessage & { kind: 'past' | 'now' }): void {
    const { node, sentAt } = message
    const shift = this.#clocks.shift(node, sentAt, this.#now())
    if (message.kind === 'now') this.#tell({ kind: 'now', snapshot: shifted(message.snapshot, shift) })
    else this.#tell({ kind: 'past', node, samples: message.samples.map((sample) => shifted(sample, shift)) })
  }

  #failed(err: unknown): void {
    if (UNAVAILABLE.has((err as { code?: string }).code)) return
    const times = this.#failures.count(this.#now())
    if (times > 0) this.#options.log.warn({ err, times }, 'dashboard failed')
  }
}
