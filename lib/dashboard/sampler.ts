import { randomBytes } from 'node:crypto'
import { performance } from 'node:perf_hooks'
import process from 'node:process'
import type { Insight } from '../node/insight.ts'
import type { SlowReader, Snapshot } from './messages.ts'
import { Top } from './top.ts'

const SLOW_READERS = 5
// Milliseconds.
const MIN_TIME = 500

/** Describes this process. */
export class Sampler {
  readonly node = randomBytes(6).toString('base64url')
  readonly name: string
  readonly #insight: Insight
  readonly #now: () => number
  #broker: { up: boolean; since: number }
  #loop = performance.eventLoopUtilization()
  #busy = { share: 0, since: performance.now() }
  #at = 0

  /** @param now Milliseconds since 1970, by a clock that never goes back. */
  constructor(insight: Insight, name: string, now: () => number) {
    this.#insight = insight
    this.name = name
    this.#now = now
    this.#broker = { up: true, since: now() }
  }

  sample(last = false): Snapshot {
    const { node, kind } = this.#insight
    const slow = new Top<SlowReader>(SLOW_READERS, (a, b) => b.buffered - a.buffered)
    const figures = node.metrics.figures(({ id, user, settings }, buffered) => {
      if (buffered > 0) slow.add({ id, user: user?.sub ?? null, route: settings.route, buffered })
    })
    if (figures.brokerUp !== this.#broker.up) this.#broker = { up: figures.brokerUp, since: this.#now() }
    // No two are of the same time, since the time identifies them.
    this.#at = Math.max(Math.round(this.#now()), this.#at + 1)
    return {
      node: this.node,
      name: this.name,
      pid: process.pid,
      at: this.#at,
      broker: { kind, since: Math.round(this.#broker.since) },
      busy: this.#measureBusy(),
      memory: process.memoryUsage.rss(),
      slow: slow.items,
      last,
      ...figures
    }
  }

  /** Over a short time the share says nothing: a page that opens takes a snapshot between two others. */
  #measureBusy(): number {
    const now = performance.now()
    if (now - this.#busy.since < MIN_TIME) return this.#busy.share
    const loop = performance.eventLoopUtilization()
    const { utilization } = performance.eventLoopUtilization(loop, this.#loop)
    this.#loop = loop
    this.#busy = { share: Math.round(utilization * 1_000) / 1_000, since: now }
    return this.#busy.share
  }
}
