import { UNSUBSCRIBE } from '../protocol/disconnect-codes.ts'
import { refreshPush } from '../protocol/replies.ts'
import { timeToLive } from '../timing/time-to-live.ts'
import type { LaneRules } from './lanes.ts'
import type { Subscription } from './subscription.ts'

/**
 * - `pending`: the client is not connected, so it is not known yet what there is to change.
 * - `ready`.
 * - `over`: the connection ends, and nothing is begun any more.
 */
export type Readiness = 'pending' | 'ready' | 'over'

/** What the requests need of their session. */
export interface RequestedSession {
  readonly readiness: Readiness
  readonly subscriptions: { get(channel: string): Subscription | undefined }
  /** Runs a job in order with the client's commands of the same lane. */
  runInLane(rules: LaneRules, work: () => Promise<void>): void
  /** Subscribes the client to a channel. Never rejects. */
  subscribeNow(channel: string): Promise<void>
  push(text: string): void
}

/** What the application asks for one client, in the order of its calls. Requests wait until the client is connected. */
export class ApplicationRequests {
  readonly #session: RequestedSession
  #pending: (() => void)[] = []
  /** The latest request to subscribe to each channel, if it waits for commands of the client. */
  readonly #subscribing = new Map<string, symbol>()

  constructor(session: RequestedSession) {
    this.#session = session
  }

  subscribe(channel: string): void {
    if (this.#waits(() => this.subscribe(channel)) || this.#session.readiness === 'over') return
    const request = Symbol()
    this.#subscribing.set(channel, request)
    this.#session.runInLane({ name: channel, concurrency: 1 }, async () => {
      // The application may have unsubscribed it since, or asked again: the order of the calls holds.
      if (this.#subscribing.get(channel) !== request) return
      this.#subscribing.delete(channel)
      await this.#session.subscribeNow(channel)
    })
  }

  unsubscribe(channel: string): void {
    if (this.#waits(() => this.unsubscribe(channel))) return
    this.#subscribing.delete(channel)
    this.#session.subscriptions.get(channel)?.end(UNSUBSCRIBE.byServer)
  }

  /** Whether a subscription to a channel waits for other commands. */
  asksFor(channel: string): boolean {
    return this.#subscribing.has(channel)
  }

  /** The expiry of the connection was moved, to a time in seconds since 1970. */
  extended(expiresAt: number): void {
    if (this.#waits(() => this.extended(expiresAt)) || this.#session.readiness === 'over') return
    this.#session.push(refreshPush(timeToLive(expiresAt)))
  }

  /** The client is connected: does what was requested before. */
  settle(): void {
    for (const request of this.#pending.splice(0)) request()
  }

  /** The client will not be connected: forgets what was requested. */
  end(): void {
    this.#pending = []
  }

  #waits(request: () => void): boolean {
    if (this.#session.readiness !== 'pending') return false
    this.#pending.push(request)
    return true
  }
}
