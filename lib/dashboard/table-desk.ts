import type { Insight } from '../node/insight.ts'
import { channelTable } from './channel-table.ts'
import { connectionTable } from './connection-table.ts'
import type { TableAnswer } from './messages.ts'
import { PublicationCounts } from './publication-counts.ts'
import { keyOf, type Query } from './query.ts'

export interface TableDeskOptions {
  readonly insight: Insight
  /** The node's name, which a search may contain. */
  readonly name: string
  readonly now: () => number
  answered(answer: Omit<TableAnswer, 'node'>): void
  failed(error: unknown): void
}

// Different queries of all pages of all nodes. If there are more, the newest wait until others have left.
const MAX_QUERIES = 8

/** Answers queries one after another. While it is busy, a query waits once, however often it comes. */
export class TableDesk {
  readonly #options: TableDeskOptions
  readonly #waiting = new Map<string, Query>()
  #counts: PublicationCounts | undefined
  #isBusy = false
  #stopped = false

  constructor(options: TableDeskOptions) {
    this.#options = options
  }

  /** Answers all queries of the present pages, in each round. */
  round(queries: readonly Query[]): void {
    if (queries.some(({ view }) => view === 'channels')) this.#count()
    else this.#countNoMore()
    this.#counts?.turn()
    this.ask(queries)
  }

  ask(queries: readonly Query[]): void {
    for (const query of queries) {
      const key = keyOf(query)
      if (this.#waiting.size < MAX_QUERIES || this.#waiting.has(key)) this.#waiting.set(key, query)
    }
    void this.#work()
  }

  /** There are no pages. */
  rest(): void {
    this.#waiting.clear()
    this.#countNoMore()
  }

  stop(): void {
    this.#stopped = true
    this.rest()
  }

  /** Publications are counted only while a page shows channels. */
  #count(): void {
    if (this.#counts !== undefined) return
    const counts = new PublicationCounts(this.#options.now)
    this.#counts = counts
    this.#options.insight.node.onPublication = (channel) => counts.note(channel)
  }

  #countNoMore(): void {
    this.#counts = undefined
    this.#options.insight.node.onPublication = undefined
  }

  async #work(): Promise<void> {
    if (this.#isBusy) return
    this.#isBusy = true
    try {
      for (;;) {
        const [next] = this.#waiting
        if (next === undefined) break
        const [key, query] = next
        this.#waiting.delete(key)
        const answer = await this.#answer(query)
        if (!this.#stopped) this.#options.answered({ ...answer, query: key })
      }
    } catch (error) {
      this.#options.failed(error)
    } finally {
      this.#isBusy = false
    }
  }

  #answer(query: Query): Promise<Omit<TableAnswer, 'node'>> {
    const { insight, name } = this.#options
    return query.view === 'channels'
      ? channelTable(insight.node, (channel) => this.#counts?.rateOf(channel) ?? null, query)
      : connectionTable(insight.node, name, query)
  }
}
