import { type Disconnect, UNSUBSCRIBE } from '../protocol/disconnect-codes.ts'
import { refreshPush } from '../protocol/replies.ts'
import { timeToLive } from '../timing/time-to-live.ts'
import type { Lanes } from './lanes.ts'
import type { Subscription } from './subscription.ts'

/** What the requests need of their session. */
export interface RequestedSession {
  readonly subscriptions: ReadonlyMap<string, Subscription>
  /** Subscribes the client to a channel. Never rejects. */
  subscribeNow(channel: string): Promise<void>
  end(subscription: Subscription, reason: Disconnect): void
  push(text: string): void
}

/**
 * What the application asks for one client, in the order of its calls. Until the client has connected it is not settled
 * what there is to change, so requests wait.
 */
export class ApplicationRequests {
  readonly #session: RequestedSession
  readonly #lanes: Lanes
  /** `over`: nothing is begun any more. */
  #state: 'waiting' | 'open' | 'over' = 'waiting'
  #waiting: (() => void)[] = []
  /** Subscriptions that wait for other commands, by channel. */
  readonly #subscribing = new Map<string, symbol>()

  /** @param lanes Where the client's commands run. */
  constructor(session: RequestedSession, lanes: Lanes) {
    this.#session = session
    this.#lanes = lanes
  }

  subscribe(channel: string): void {
    if (this.#waits(() => this.subscribe(channel)) || this.#state !== 'open') return
    const asked = Symbol()
    this.#subscribing.set(channel, asked)
    this.#lanes.run({ name: channel, concurrency: 1 }, async () => {
      // Unsubscribed since, or asked for again: the order of the calls holds.
      if (this.#subscribing.get(channel) !== asked) return
      this.#subscribing.delete(channel)
      await this.#session.subscribeNow(channel)
    })
  }

  unsubscribe(channel: string): void {
    if (this.#waits(() => this.unsubscribe(channel))) return
    this.#subscribing.delete(channel)
    const subscription = this.#session.subscriptions.get(channel)
    if (subscription !== undefined) this.#session.end(subscription, UNSUBSCRIBE.byServer)
  }

  /** Whether a subscription to a channel waits for other commands. */
  asksFor(channel: string): boolean {
    return this.#subscribing.has(channel)
  }

  /** The expiry of the connection was moved, to a time in seconds since 1970. */
  extended(expiresAt: number): void {
    if (this.#waits(() => this.extended(expiresAt)) || this.#state !== 'open') return
    this.#session.push(refreshPush(timeToLive(expiresAt)))
  }

  /** The client has connected: what waited is done. `isOpen` is false if the node drains meanwhile. */
  settle(isOpen: boolean): void {
    this.#state = isOpen ? 'open' : 'over'
    for (const request of this.#waiting.splice(0)) request()
  }

  /** The connection ends, or the node drains and the client does not connect any more. */
  end(): void {
    this.#state = 'over'
    this.#waiting = []
  }

  #waits(request: () => void): boolean {
    if (this.#state !== 'waiting') return false
    this.#waiting.push(request)
    return true
  }
}
