import { UNSUBSCRIBE } from '../protocol/disconnect-codes.ts'
import type { Message } from '../protocol/framing.ts'
import type { FilterNode } from '../protocol/tags-filter.ts'
import { timeToLive } from '../timing/time-to-live.ts'
import type { ClientFormat } from './encodings/client-format.ts'
import type { LaneRules } from './lanes.ts'
import type { Subscription } from './subscription.ts'

/**
 * - `pending`: the client is not connected yet. Requests wait.
 * - `ready`: requests are carried out.
 * - `over`: the node drains or the connection has ended. No new request is begun.
 */
export type Readiness = 'pending' | 'ready' | 'over'

/** What the requests need of their session. */
export interface RequestedSession {
  readonly readiness: Readiness
  readonly format: ClientFormat
  readonly subscriptions: { get(channel: string): Subscription | undefined }
  /** Runs a job in order with the client's commands in the same lane. */
  runInLane(rules: LaneRules, work: () => Promise<void>): void
  /** Subscribes the client to a channel. Never rejects. */
  subscribeNow(channel: string, filter: FilterNode | undefined): Promise<void>
  push(message: Message): void
}

/**
 * What the application requests for one client. Requests are carried out in the order of the calls, once the client is
 * connected.
 */
export class ApplicationRequests {
  readonly #session: RequestedSession
  #pending: (() => void)[] = []
  /** The latest request to subscribe to each channel, if it waits for commands of the client. */
  readonly #subscribing = new Map<string, symbol>()

  constructor(session: RequestedSession) {
    this.#session = session
  }

  subscribe(channel: string, filter?: FilterNode): void {
    if (this.#defer(() => this.subscribe(channel, filter)) || this.#session.readiness === 'over') return
    const request = Symbol()
    this.#subscribing.set(channel, request)
    this.#session.runInLane({ name: channel, concurrency: 1 }, async () => {
      // The application may have unsubscribed the client since, or requested the subscription again: the last call
      // counts.
      if (this.#subscribing.get(channel) !== request) return
      this.#subscribing.delete(channel)
      await this.#session.subscribeNow(channel, filter)
    })
  }

  unsubscribe(channel: string): void {
    if (this.#defer(() => this.unsubscribe(channel))) return
    this.#subscribing.delete(channel)
    this.#session.subscriptions.get(channel)?.end(UNSUBSCRIBE.byServer)
  }

  /** Whether a subscription to a channel is requested, and waits for other commands. */
  isSubscribing(channel: string): boolean {
    return this.#subscribing.has(channel)
  }

  /** The application changed when the connection expires, to a time in seconds since 1970. */
  extended(expiresAt: number): void {
    if (this.#defer(() => this.extended(expiresAt)) || this.#session.readiness === 'over') return
    this.#session.push(this.#session.format.encoding.refreshPush(timeToLive(expiresAt)))
  }

  /** The client is connected: carries out the requests that waited for that. */
  runPending(): void {
    for (const request of this.#pending.splice(0)) request()
  }

  /** The client will not be connected: drops the requests that waited for that. */
  end(): void {
    this.#pending = []
  }

  /** Keeps a request for later if the client is not connected yet. False if the request can be carried out now. */
  #defer(request: () => void): boolean {
    if (this.#session.readiness !== 'pending') return false
    this.#pending.push(request)
    return true
  }
}
