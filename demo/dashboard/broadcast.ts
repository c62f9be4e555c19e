import type { FastifyBaseLogger } from 'fastify'
import type { Realtime } from 'fastify-realtime'
import { keyOf, pageOf, parseQuery, type TablePage, type TableQuery } from './connection-table.ts'
import type { DashboardNode, Snapshot } from './node.ts'

/** Where each node publishes a `Snapshot` of itself once a second. */
export const NODES = 'dashboard/nodes'
/** Where each node answers the queries of those who are here, which are what their presence says. */
export const CONNECTIONS = 'dashboard/connections'

/** What is published to `CONNECTIONS`. */
export interface TableAnswer extends TablePage {
  readonly node: string
}

const PERIOD = 1_000
// Who has just left is on the way to another node, and is given what it missed from history.
const LINGER = 5_000
// The table is answered every so many periods.
const TABLE_EVERY = 2
// Every watcher is given all answers: with more queries than this the newest wait until others have gone.
const MAX_QUERIES = 8
// Redis is away, or was when it should have answered: who watches asks its own node.
const AWAY = new Set(['FST_RT_UNAVAILABLE', 'FST_RT_UNKNOWN_OUTCOME'])

export interface BroadcastOptions {
  readonly realtime: Realtime
  readonly node: DashboardNode
  readonly log: FastifyBaseLogger
  /** Milliseconds between two snapshots; 1,000 unless told. */
  readonly period?: number
}

/**
 * Tells the dashboards of the whole cluster how this node is, while there are any. Whether there are is what presence
 * on the channel says: it knows the watchers of all nodes, and forgets those of a node that died. While nobody watches
 * it costs one call of Redis a second.
 */
export class Broadcast {
  readonly #options: BroadcastOptions
  #timer: NodeJS.Timeout | undefined
  #ticks = 0
  #watchedAt = Number.NEGATIVE_INFINITY
  #stopped = false

  constructor(options: BroadcastOptions) {
    this.#options = options
  }

  start(): void {
    if (this.#stopped) return
    // All nodes at the turn of a second of the clock, so that the page finds one snapshot of each in each second.
    const { period = PERIOD } = this.#options
    this.#timer = setTimeout(() => void this.#tick().then(() => this.start()), period - (Date.now() % period))
    this.#timer.unref()
  }

  /** Sends a last snapshot, if anybody watches. */
  async stop(): Promise<void> {
    this.#stopped = true
    clearTimeout(this.#timer)
    if (this.#isWatched) await this.#guard(async () => this.#publish(await this.#options.node.farewell()))
  }

  async answer(query: TableQuery): Promise<TableAnswer> {
    const { realtime, node } = this.#options
    return { node: node.id, ...pageOf(realtime.connections(), node.name, query) }
  }

  get #isWatched(): boolean {
    return performance.now() - this.#watchedAt < LINGER
  }

  #tick(): Promise<void> {
    return this.#guard(async () => {
      const { realtime, node } = this.#options
      await node.glance()
      if ((await realtime.presenceStats(NODES)).connections > 0) this.#watchedAt = performance.now()
      if (!this.#isWatched) return
      await this.#publish(await node.sample())
      if (this.#ticks++ % TABLE_EVERY === 0) await this.#answerAll()
    })
  }

  async #publish(snapshot: Snapshot): Promise<void> {
    await this.#options.realtime.publish(NODES, snapshot)
  }

  async #answerAll(): Promise<void> {
    const { realtime, node } = this.#options
    const present = await realtime.presence(CONNECTIONS)
    const queries = new Map<string, TableQuery>()
    for (const { channelInfo } of present) {
      const query = parseQuery(channelInfo)
      if (query !== undefined && queries.size < MAX_QUERIES) queries.set(keyOf(query), query)
    }
    if (queries.size === 0) return
    const connections = realtime.connections()
    for (const query of queries.values()) {
      const answer: TableAnswer = { node: node.id, ...pageOf(connections, node.name, query) }
      await realtime.publish(CONNECTIONS, answer)
    }
  }

  async #guard(job: () => Promise<void>): Promise<void> {
    try {
      await job()
    } catch (err) {
      if (!AWAY.has((err as { code?: string }).code ?? '')) this.#options.log.warn({ err }, 'dashboard not told')
    }
  }
}
