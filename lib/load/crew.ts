import type { LoadClient } from './client.ts'
import type { Feed, Journal } from './journal.ts'
import type { Publisher } from './ledger.ts'

export interface Outlet {
  readonly publisher: Publisher
  readonly client: LoadClient
  readonly feed: Feed
}

// A server accepts this many at once and lets the others wait, which would count as its slowness.
const OPENING_AT_ONCE = 256
const TICK = 5

export class Crew {
  readonly clients: readonly LoadClient[]
  readonly #journal: Journal

  constructor(clients: readonly LoadClient[], journal: Journal) {
    this.clients = clients
    this.#journal = journal
  }

  /** Opens all, evenly over so many milliseconds, or as fast as the server accepts them. */
  open(ramp: number, signal: AbortSignal): Promise<void> {
    const total = this.clients.length
    const start = performance.now()
    let begun = 0
    let settled = 0
    return new Promise((resolve) => {
      const next = () => {
        const share = ramp === 0 ? 1 : Math.min(1, (performance.now() - start) / ramp)
        const due = signal.aborted ? 0 : Math.ceil(share * total)
        while (begun < due && begun - settled < OPENING_AT_ONCE) {
          void this.clients[begun++]?.open().then(() => settled++)
        }
        if (!signal.aborted && settled < total) return
        clearInterval(timer)
        resolve()
      }
      const timer = setInterval(next, TICK)
      next()
    })
  }

  /**
   * Chooses the publishers among the connections that take part, so many for each group. From now on every publication
   * is due to each subscriber. Returned in the order of sending: the first of each group, then the second of each.
   */
  begin(publishersOf: (able: number) => number): Outlet[] {
    const groups = new Map<number, { client: LoadClient; feed: Feed }[]>()
    for (const client of this.clients.filter(({ isReady, isAway }) => isReady || isAway)) {
      for (const feed of client.feeds) {
        const members = groups.get(feed.group) ?? []
        if (members.push({ client, feed }) === 1) groups.set(feed.group, members)
      }
    }
    const rounds: Outlet[][] = []
    for (const members of groups.values()) {
      const able = members.filter(({ client }) => !client.isSlow)
      const publishers = this.#journal.ledger.addPublishers(publishersOf(able.length))
      for (const { feed } of members) feed.receipt = this.#journal.ledger.addSubscriber(publishers)
      for (const [at, publisher] of publishers.entries()) {
        const { client, feed } = able[at] as (typeof able)[number]
        client.publishers.push(publisher)
        rounds[at] ??= []
        rounds[at].push({ publisher, client, feed })
      }
    }
    return rounds.flat()
  }

  cutAll(): void {
    this.#journal.stormBegins(new Set(this.clients.filter((client) => client.cut())))
  }

  get present(): number {
    return this.clients.filter(({ isReady }) => isReady).length
  }

  get hasAbsentees(): boolean {
    return this.clients.some(({ isAway }) => isAway)
  }

  close(): void {
    for (const client of this.clients) client.close()
  }
}
