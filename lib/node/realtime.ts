import type { Broker } from '../broker/broker.ts'
import type { Registry } from '../connection/registry.ts'
import type { Hub } from '../hub/hub.ts'
import type { PublishOptions, PublishResult } from '../hub/publish-options.ts'
import type { Position } from '../protocol/position.ts'
import {
  type ConnectionsOptions,
  checkChannel,
  checkConnections,
  checkDisconnect,
  checkExpiry,
  checkHistory,
  checkSubscribe,
  checkTarget,
  type DisconnectOptions,
  type HistoryOptions,
  type SubscriptionOptions,
  type Target
} from './call-arguments.ts'
import { type ConnectionInfo, connectionInfo } from './connection-info.ts'
import type { Control } from './control.ts'
import type { Drainer, DrainSummary } from './drain.ts'
import type { ConnectionPage, Roster } from './roster.ts'

export interface History extends Position {
  /** The data is a Buffer if it was published as bytes. */
  readonly publications: readonly { readonly data: unknown; readonly offset: number }[]
}

/** A client of the channel protocol on a channel, or a socket that subscribed to the channel with `presence`. */
export interface PresentClient {
  readonly connection: string
  /** Empty if the connection is anonymous. */
  readonly user: string
  /** The token's claim `info`, or the `info` that `onConnect` returned. */
  readonly connectionInfo: unknown
  /** The `info` that `onSubscribe` returned, or that the socket was subscribed with. */
  readonly channelInfo: unknown
}

export interface RealtimeParts {
  readonly broker: Broker
  readonly hub: Hub
  readonly registry: Registry
  readonly drainer: Drainer
  readonly control: Control
  readonly roster: Roster
}

/** `app.realtime`: the functions of an application that do not belong to a single socket. */
export class Realtime {
  readonly #parts: RealtimeParts

  constructor(parts: RealtimeParts) {
    this.#parts = parts
  }

  /**
   * Publishes a value to all subscribers of a channel on all nodes: as JSON, or a `Uint8Array` if the channel is declared
   * with `binary`. Rejects with `FST_RT_INVALID_CHANNEL`, `FST_RT_INVALID_ARGUMENT`, `FST_RT_INVALID_DATA`,
   * `FST_RT_INVALID_BYTES`, `FST_RT_PUBLICATION_TOO_LARGE`, `FST_RT_INVALID_IDEMPOTENCY_KEY`, `FST_RT_UNAVAILABLE` (the value was not published) or `FST_RT_UNKNOWN_OUTCOME`
   * (the value may have been published: retry with the same `idempotencyKey`, which adds it at most once).
   */
  publish(channel: string, data: unknown, options?: PublishOptions): Promise<PublishResult> {
    return this.#parts.hub.publish(channel, data, options)
  }

  /**
   * Returns the history of a channel, and its newest position. With `reverse` the newest publication comes first.
   * Rejects with `FST_RT_INVALID_CHANNEL`, `FST_RT_INVALID_ARGUMENT` or `FST_RT_UNAVAILABLE`.
   */
  async history(channel: string, options: HistoryOptions = {}): Promise<History> {
    checkChannel(channel)
    checkHistory(options)
    const { limit = 100, since, reverse = false } = options
    const query = { limit, reverse, ...(since && { since }) }
    const { publications, position } = await this.#parts.broker.history(channel, query)
    return {
      publications: publications.map(({ data, binary, offset }) => ({
        data: binary ? data : JSON.parse(data.toString()),
        offset
      })),
      offset: position.offset,
      epoch: position.epoch
    }
  }

  /**
   * Deletes the history of a channel. Its subscribers get a notice of a gap, and continue at the start of a new epoch.
   * Idempotency keys are not deleted. Rejects with `FST_RT_INVALID_CHANNEL`, `FST_RT_UNAVAILABLE` or
   * `FST_RT_UNKNOWN_OUTCOME`.
   */
  async removeHistory(channel: string): Promise<void> {
    checkChannel(channel)
    await this.#parts.broker.removeHistory(channel)
  }

  /** Returns the clients on a channel with presence, on all nodes. Rejects as `history` does. */
  async presence(channel: string): Promise<PresentClient[]> {
    checkChannel(channel)
    const entries = await this.#parts.broker.presence(channel)
    return entries.map(({ connection, user, info }) => {
      const { conn_info, chan_info } = JSON.parse(info.toString()) as Record<string, unknown>
      return { connection, user, connectionInfo: conn_info, channelInfo: chan_info }
    })
  }

  /** Returns how many clients are on a channel with presence. Rejects as `history` does. */
  async presenceStats(channel: string): Promise<{ connections: number; users: number }> {
    checkChannel(channel)
    return this.#parts.broker.presenceStats(channel)
  }

  /**
   * Subscribes clients of the channel protocol on all nodes to a declared channel, without calling its hooks. With
   * `filter` they receive only what passes it, like with the filter that `onSubscribe` returns. If an argument is wrong, `subscribe`, `disconnect`, `unsubscribe` and `refresh` reject with `FST_RT_INVALID_CHANNEL` or
   * `FST_RT_INVALID_ARGUMENT`, and no node gets the request.
   */
  async subscribe(target: Target, channel: string, options: SubscriptionOptions = {}): Promise<void> {
    checkTarget(target)
    checkChannel(channel)
    checkSubscribe(options)
    await this.#parts.control.subscribe(target, channel, options.filter)
  }

  /** Closes connections on all nodes, within a second. */
  async disconnect(target: Target, options: DisconnectOptions = {}): Promise<void> {
    checkTarget(target)
    checkDisconnect(options)
    await this.#parts.control.disconnect(target, options)
  }

  /** Ends subscriptions on all nodes. With `{ channel }` alone, it ends all subscriptions to that channel. */
  unsubscribe(target: Target & { channel: string }, channel?: string): Promise<void>
  unsubscribe(target: Target, channel: string): Promise<void>
  async unsubscribe(target: Target, channel = target?.channel as string): Promise<void> {
    checkTarget(target)
    checkChannel(channel)
    await this.#parts.control.unsubscribe(target, channel)
  }

  /** Changes when connections on all nodes expire. `expiresAt` is in seconds since 1970, like the claim `exp`. */
  async refresh(target: Target, expiresAt: number): Promise<void> {
    checkTarget(target)
    checkExpiry(expiresAt)
    await this.#parts.control.refresh(target, expiresAt)
  }

  /** Returns the open connections of this node. */
  connections(): ConnectionInfo[]
  /**
   * Returns a page of the open connections of all nodes. Rejects with `FST_RT_INVALID_ARGUMENT` or
   * `FST_RT_UNAVAILABLE`. A node that does not answer within two seconds is left out, and counted in `unanswered`.
   */
  connections(options: ConnectionsOptions): Promise<ConnectionPage>
  connections(options?: ConnectionsOptions): ConnectionInfo[] | Promise<ConnectionPage> {
    const { registry, hub } = this.#parts
    return options === undefined
      ? Array.from(registry, (socket) => connectionInfo(socket, hub))
      : this.#clusterConnections(options)
  }

  async #clusterConnections(options: ConnectionsOptions): Promise<ConnectionPage> {
    checkConnections(options)
    const { limit = 100, cursor } = options
    return this.#parts.roster.page(limit, cursor)
  }

  /** Closes all connections of this node, spread over the drain window. `app.close()` does this too. */
  drain(): Promise<DrainSummary> {
    return this.#parts.drainer.drain()
  }

  /** True from the start of the drain on. */
  get draining(): boolean {
    return this.#parts.drainer.draining
  }

  /**
   * For a readiness route: false while the node drains, while the broker is unavailable, and while this node does not
   * receive the requests of other nodes (`disconnect`, `subscribe`, `unsubscribe`, `refresh`).
   */
  ready(): boolean {
    const { broker, control } = this.#parts
    return !this.draining && broker.up && control.receiving
  }
}
