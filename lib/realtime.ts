import type { Broker } from './broker/broker.ts'
import type { Control } from './channels/control.ts'
import type { Hub } from './channels/hub.ts'
import type { Drainer, DrainSummary } from './drain.ts'
import type { PublishOptions, PublishResult } from './socket/context.ts'
import type { SocketStats } from './socket/realtime-socket.ts'
import type { Registry } from './socket/registry.ts'

/** Whose connections are meant: all of a user (`sub`), or one by its id. */
export interface Target {
  user?: string
  connection?: string
}

export interface DisconnectOptions {
  /**
   * 1000, or 3000 to 4999.
   * @default 4403
   */
  code?: number
  /**
   * At most 123 bytes of UTF-8; the rest is cut.
   * @default 'forbidden'
   */
  reason?: string
}

/** One open connection of this node. */
export interface ConnectionInfo {
  readonly id: string
  readonly user: string | undefined
  /** The route's pattern. */
  readonly route: string
  /** Milliseconds; undefined before the first pong. */
  readonly roundTripTime: number | undefined
  readonly bufferedAmount: number
  readonly subscriptions: readonly string[]
  readonly stats: SocketStats
}

export interface RealtimeParts {
  readonly broker: Broker
  readonly hub: Hub
  readonly registry: Registry
  readonly drainer: Drainer
  readonly control: Control
}

/** `app.realtime`: what an application does beside handling its sockets. */
export class Realtime {
  readonly #parts: RealtimeParts

  constructor(parts: RealtimeParts) {
    this.#parts = parts
  }

  /**
   * Publishes a value, as JSON, to all subscribers of a channel on all nodes. Rejects with `FST_RT_INVALID_CHANNEL`,
   * `FST_RT_INVALID_DATA`, `FST_RT_UNAVAILABLE` (it was not published) or `FST_RT_UNKNOWN_OUTCOME` (it may have been:
   * retry with the same `idempotencyKey`, which adds it at most once).
   */
  publish(channel: string, data: unknown, options?: PublishOptions): Promise<PublishResult> {
    return this.#parts.hub.publish(channel, data, options)
  }

  /** Closes connections on all nodes, within a second. */
  disconnect(target: Target, options: DisconnectOptions = {}): Promise<void> {
    return this.#parts.control.disconnect(target, options)
  }

  /** Ends subscriptions of a user or a connection on all nodes. */
  unsubscribe(target: Target, channel: string): Promise<void> {
    return this.#parts.control.unsubscribe(target, channel)
  }

  /** Moves the expiry of connections on all nodes. `expiresAt` is in seconds since 1970, like the claim `exp`. */
  refresh(target: Target, expiresAt: number): Promise<void> {
    return this.#parts.control.refresh(target, expiresAt)
  }

  /** The open connections of this node. */
  connections(): ConnectionInfo[] {
    const { registry, hub } = this.#parts
    return Array.from(registry, (socket) => ({
      id: socket.id,
      user: socket.user?.sub,
      route: socket.settings.route,
      roundTripTime: socket.roundTripTime,
      bufferedAmount: socket.bufferedAmount,
      subscriptions: hub.channelsOf(socket),
      stats: socket.stats
    }))
  }

  /** Closes all connections of this node, spread over the drain window; `app.close()` does it too. */
  drain(): Promise<DrainSummary> {
    return this.#parts.drainer.drain()
  }

  /** True from the start of the drain on. */
  get draining(): boolean {
    return this.#parts.drainer.draining
  }

  /** For a readiness route: false while draining and while the broker is away. */
  ready(): boolean {
    return !this.draining && this.#parts.broker.up
  }
}
