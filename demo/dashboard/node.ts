import cluster from 'node:cluster'
import { randomBytes } from 'node:crypto'
import { performance } from 'node:perf_hooks'
import process from 'node:process'
import type { Registry } from 'prom-client'
import { type Figures, readFigures } from './figures.ts'

/** One process at one moment. */
export interface Snapshot extends Figures {
  /** Made up by the process when it starts: its successor on the same port is another node. */
  readonly node: string
  /** Like `worker 2`. */
  readonly name: string
  readonly pid: number
  /** By the node's clock, in milliseconds since 1970. */
  readonly at: number
  /** The kind of broker, and since when it is up, or not available (as `at`). */
  readonly broker: { readonly kind: 'memory' | 'redis'; readonly since: number }
  /** The share of the time since the last snapshot in which the event loop was busy, from 0 to 1. */
  readonly busy: number
  /** Bytes of memory that the process has (resident set). */
  readonly memory: number
  /** True if this is the last snapshot: the node has drained, and ends. */
  readonly last: boolean
}

// Two dashboards that ask at the same time get the same snapshot.
const FRESH = 300

/** This process, as the dashboards see it. */
export class DashboardNode {
  readonly id = randomBytes(6).toString('base64url')
  readonly name = cluster.isWorker ? `worker ${cluster.worker?.id}` : 'server'
  readonly #registry: Registry
  readonly #kind: 'memory' | 'redis'
  #broker = { up: true, since: Date.now() }
  #loop = performance.eventLoopUtilization()
  #latest: Snapshot | undefined

  constructor(registry: Registry, kind: 'memory' | 'redis') {
    this.#registry = registry
    this.#kind = kind
  }

  /** Records when the broker comes and goes. It reads one gauge, even without watchers. */
  async glance(): Promise<void> {
    const gauge = await this.#registry.getSingleMetric('realtime_broker_up')?.get()
    this.#brokerIs(gauge?.values[0]?.value === 1)
  }

  async sample(): Promise<Snapshot> {
    const isFresh = this.#latest !== undefined && Math.abs(Date.now() - this.#latest.at) < FRESH
    return isFresh ? (this.#latest as Snapshot) : this.#sample()
  }

  /** The node at its end. */
  async farewell(): Promise<Snapshot> {
    return { ...(await this.#sample()), last: true }
  }

  async #sample(): Promise<Snapshot> {
    const figures = await readFigures(this.#registry)
    this.#brokerIs(figures.brokerUp)
    const loop = performance.eventLoopUtilization()
    const { utilization } = performance.eventLoopUtilization(loop, this.#loop)
    this.#loop = loop
    this.#latest = {
      node: this.id,
      name: this.name,
      pid: process.pid,
      // No two at the same time, since the time identifies them.
      at: Math.max(Date.now(), (this.#latest?.at ?? 0) + 1),
      broker: { kind: this.#kind, since: this.#broker.since },
      busy: Math.round(utilization * 1000) / 1000,
      memory: process.memoryUsage.rss(),
      last: false,
      ...figures
    }
    return this.#latest
  }

  #brokerIs(up: boolean): void {
    if (up !== this.#broker.up) this.#broker = { up, since: Date.now() }
  }
}
