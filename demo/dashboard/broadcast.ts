import type { FastifyBaseLogger } from 'fastify'
import type { Realtime } from 'fastify-realtime'
import { keyOf, pageOf, parseQuery, type TablePage, type TableQuery } from './connection-table.ts'
import type { DashboardNode, Snapshot } from './node.ts'

/** The channel on which each node publishes a `Snapshot` of itself once a second. */
export const NODES = 'dashboard/nodes'
/** The channel on which each node answers the queries of all watchers. The queries are in their presence. */
export const CONNECTIONS = 'dashboard/connections'

/** A publication on `CONNECTIONS`. */
export interface TableAnswer extends TablePage {
  readonly node: string
}

const PERIOD = 1_000
// A watcher that has just left may be reconnecting to another node, and gets what it missed from history.
const LINGER = 5_000
// The table is answered once in this number of periods.
const TABLE_EVERY = 2
// Every watcher gets all answers. If there are more queries than this, the newest wait until others have left.
const MAX_QUERIES = 8
// Redis is not available, or was not when it should have answered: watchers ask their own node.
const AWAY = new Set(['FST_RT_UNAVAILABLE', 'FST_RT_UNKNOWN_OUTCOME'])

export interface BroadcastOptions {
  readonly realtime: Realtime
  readonly node: DashboardNode
  readonly log: FastifyBaseLogger
  /** Milliseconds between two snapshots; 1,000 by default. */
  readonly period?: number
}

/**
 * Sends this node's state to the dashboards of the whole cluster, while there are any. Presence on the channel says
 * whether there are: it has the watchers of all nodes, and drops those of a node that died. Without watchers the cost
 * is one call of Redis a second.
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
    // All nodes at the full second of the clock, so that the page gets one snapshot of each in each second.
    const { period = PERIOD } = this.#options
    this.#timer = setTimeout(() => void this.#tick().then(() => this.start()), period - (Date.now() % period))
    this.#timer.unref()
  }

  /** Sends a last snapshot, if there are watchers. */
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
