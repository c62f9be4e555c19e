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
  checkTarget,
  type DisconnectOptions,
  type HistoryOptions,
  type Target
} from './call-arguments.ts'
import { type ConnectionInfo, connectionInfo } from './connection-info.ts'
import type { Control } from './control.ts'
import type { Drainer, DrainSummary } from './drain.ts'
import type { ConnectionPage, Roster } from './roster.ts'

export interface History extends Position {
  readonly publications: readonly { readonly data: unknown; readonly offset: number }[]
}

/** One client of the channel protocol on a channel, or a socket that subscribed to it with `presence`. */
export interface PresentClient {
  readonly connection: string
  /** Empty for an anonymous one. */
  readonly user: string
  /** The token's claim `info`, or what `onConnect` said. */
  readonly connectionInfo: unknown
  /** What `onSubscribe` returned as `info`, or what the socket was subscribed with. */
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

/** `app.realtime`: what an application does beside handling its sockets. */
export class Realtime {
  readonly #parts: RealtimeParts

  constructor(parts: RealtimeParts) {
    this.#parts = parts
  }

  /**
   * Publishes a value, as JSON, to all subscribers of a channel on all nodes. Rejects with `FST_RT_INVALID_CHANNEL`,
   * `FST_RT_INVALID_ARGUMENT`, `FST_RT_INVALID_DATA`, `FST_RT_PUBLICATION_TOO_LARGE`, `FST_RT_INVALID_IDEMPOTENCY_KEY`, `FST_RT_UNAVAILABLE` (it was
   * not published) or `FST_RT_UNKNOWN_OUTCOME` (it may have been: retry with the same `idempotencyKey`, which adds it at most once).
   */
  publish(channel: string, data: unknown, options?: PublishOptions): Promise<PublishResult> {
    return this.#parts.hub.publish(channel, data, options)
  }

  /**
   * What is kept of a channel, and its newest position; the newest first with `reverse`. Rejects with
   * `FST_RT_INVALID_CHANNEL`, `FST_RT_INVALID_ARGUMENT` or `FST_RT_UNAVAILABLE`.
   */
  async history(channel: string, options: HistoryOptions = {}): Promise<History> {
    checkChannel(channel)
    checkHistory(options)
    const { limit = 100, since, reverse = false } = options
    const query = { limit, reverse, ...(since && { since }) }
    const { publications, position } = await this.#parts.broker.history(channel, query)
    return {
      publications: publications.map(({ data, offset }) => ({ data: JSON.parse(data.toString()), offset })),
      offset: position.offset,
      epoch: position.epoch
    }
  }

  /**
   * Deletes what is kept of a channel. Its subscribers are told of a gap, and go on at the start of a new epoch.
   * Idempotency keys stay remembered. Rejects with `FST_RT_INVALID_CHANNEL`, `FST_RT_UNAVAILABLE` or
   * `FST_RT_UNKNOWN_OUTCOME`.
   */
  async removeHistory(channel: string): Promise<void> {
    checkChannel(channel)
    await this.#parts.broker.removeHistory(channel)
  }

  /** Who is on a channel with presence, on all nodes. Rejects as `history` does. */
  async presence(channel: string): Promise<PresentClient[]> {
    checkChannel(channel)
    const entries = await this.#parts.broker.presence(channel)
    return entries.map(({ connection, user, info }) => {
      const { conn_info, chan_info } = JSON.parse(info.toString()) as Record<string, unknown>
      return { connection, user, connectionInfo: conn_info, channelInfo: chan_info }
    })
  }

  /** How many are on a channel with presence. Rejects as `history` does. */
  async presenceStats(channel: string): Promise<{ connections: number; users: number }> {
    checkChannel(channel)
    return this.#parts.broker.presenceStats(channel)
  }

  /**
   * Subscribes clients of the channel protocol on all nodes to a declared channel, without asking its hooks. Rejects
   * with `FST_RT_INVALID_CHANNEL` or `FST_RT_INVALID_ARGUMENT` before any node is asked, as `disconnect`, `unsubscribe`
   * and `refresh` do.
   */
  async subscribe(target: Target, channel: string): Promise<void> {
    checkTarget(target)
    checkChannel(channel)
    await this.#parts.control.subscribe(target, channel)
  }

  /** Closes connections on all nodes, within a second. */
  async disconnect(target: Target, options: DisconnectOptions = {}): Promise<void> {
    checkTarget(target)
    checkDisconnect(options)
    await this.#parts.control.disconnect(target, options)
  }

  /** Ends subscriptions on all nodes: with `{ channel }` alone, those of all members of that channel. */
  unsubscribe(target: Target & { channel: string }, channel?: string): Promise<void>
  unsubscribe(target: Target, channel: string): Promise<void>
  async unsubscribe(target: Target, channel = target?.channel as string): Promise<void> {
    checkTarget(target)
    checkChannel(channel)
    await this.#parts.control.unsubscribe(target, channel)
  }

  /** Moves the expiry of connections on all nodes. `expiresAt` is in seconds since 1970, like the claim `exp`. */
  async refresh(target: Target, expiresAt: number): Promise<void> {
    checkTarget(target)
    checkExpiry(expiresAt)
    await this.#parts.control.refresh(target, expiresAt)
  }

  /** The open connections of this node. */
  connections(): ConnectionInfo[]
  /**
   * A page of the open connections of all nodes. Rejects with `FST_RT_INVALID_ARGUMENT` or `FST_RT_UNAVAILABLE`. A node
   * that does not answer within two seconds is left out, and counted in `unanswered`.
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

  /** Closes all connections of this node, spread over the drain window; `app.close()` does it too. */
  drain(): Promise<DrainSummary> {
    return this.#parts.drainer.drain()
  }

  /** True from the start of the drain on. */
  get draining(): boolean {
    return this.#parts.drainer.draining
  }

  /**
   * For a readiness route: false while draining, while the broker is away, and while requests of other nodes
   * (`disconnect`, `unsubscribe`, `refresh`) do not reach this one.
   */
  ready(): boolean {
    const { broker, control } = this.#parts
    return !this.draining && broker.up && control.obeys
  }
}
