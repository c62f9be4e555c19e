import type { Log } from '../input/guarded-log.ts'
import type { CompiledValidator } from '../input/validator.ts'
import type { Claims, ResolvedHeartbeat, ResolvedLimits } from '../options/options.ts'
import type { CloseCode } from '../protocol/close-codes.ts'
import type { Position } from '../protocol/position.ts'
import type { FilterNode } from '../protocol/tags-filter.ts'
import type { Outbox } from './outbox.ts'
import type { ConnectionStats } from './statistics.ts'

/**
 * How a connection is used:
 * - `raw`: with the plain `ws` API, on a route with `{ websocket: true }`.
 * - `messages`: on an `app.ws` route.
 * - `channels`: with the channel protocol.
 * - `refused`: it is closed before the application sees it.
 */
export type ConnectionKind = 'raw' | 'messages' | 'channels' | 'refused'

/** How the messages of a connection are carried. It is a label of metrics. */
export type Transport = 'websocket' | 'http_stream' | 'sse'

/** The settings of one connection, as its handshake determined them. */
export interface ConnectionSettings {
  readonly id: string
  readonly kind: ConnectionKind
  readonly transport: Transport
  readonly user: Claims | null
  /** When its handshake arrived, by the wheel's clock. */
  readonly begunAt: number
  /** When the token expires, by the wheel's clock; Infinity for never. */
  readonly expiresAt: number
  readonly heartbeat: ResolvedHeartbeat
  readonly limits: ResolvedLimits
  readonly validator: CompiledValidator | undefined
  /** The pattern of the route. It is a label of metrics. */
  readonly route: string
  readonly log: Log
}

/** The channel protocol's part of a connection of the kind `channels`. */
export interface ConnectionSession {
  /** A message came. */
  receive(data: Buffer, isBinary: boolean): void
  /** Sends a ping of the channel protocol. False if the client cannot answer one yet. */
  ping(): boolean
  /** A slow reader has read what was waiting for it. */
  caughtUp(): void
  /** The connection has ended. */
  ended(): void
  /**
   * The node drains: no new command is begun. Resolves once the running commands are done; undefined if there are none.
   */
  drain(): Promise<void> | undefined
  /** The channels that the client is subscribed to. */
  readonly channels: readonly string[]
  /** Whether the client is subscribed to a channel, or the application has asked for that subscription. */
  isOn(channel: string): boolean
  /**
   * The application subscribes the client to a channel, or ends a subscription. The client receives only what passes the
   * filter.
   */
  subscribe(channel: string, filter?: FilterNode): void
  unsubscribe(channel: string): void
  /** The application changed when the connection expires, to a time in seconds since 1970. */
  extended(expiresAt: number): void
}

/** What a drain waits for before it closes a connection. */
export interface Ending {
  /** Settles once the handler has ended. Undefined if there is nothing to wait for. */
  readonly handled: Promise<unknown> | undefined
  /** Whether the handler is working on a message or a request. */
  readonly busy: boolean
}

/**
 * One client's connection, independent of its transport. The hub, the session, the drain, the registry and the metrics
 * know connections by this interface only. `RealtimeSocket` implements it over a WebSocket, `HttpConnection` over an
 * HTTP response.
 */
export interface Connection {
  /** Unique over all nodes. */
  readonly id: string
  /** The verified claims; null for an anonymous client. */
  readonly user: Claims | null
  readonly settings: ConnectionSettings
  readonly outbox: Outbox
  readonly stats: ConnectionStats
  /** Milliseconds. Undefined before the first answered ping. */
  readonly roundTripTime: number | undefined
  /** Bytes that wait to be sent. */
  readonly bufferedAmount: number
  /** True as soon as either side closes the connection. */
  readonly closed: boolean
  /** Which side ended the connection. Valid once it has ended. */
  readonly endedBy: 'client' | 'server' | 'network'
  /** How many channels the connection may be subscribed to at a time. */
  readonly maxSubscriptions: number
  /** Undefined if the connection does not use the channel protocol. */
  readonly session: ConnectionSession | undefined
  sendText(text: string): void
  close(code: number, reason: string): void
  /** Closes with one of our close codes. A `channels` connection closes with the equivalent code of its protocol. */
  closeWith(close: Pick<CloseCode, 'code' | 'reason'>): void
  /** Ends the connection at once, without a close frame. */
  terminate(): void
  /** Changes when the authentication expires, by the wheel's clock. */
  extend(expiresAt: number): void
  /**
   * The connection missed publications of a channel, and they are no longer available. It continues after `position`.
   */
  insufficientState(channel: string, position: Position): void
  /** Ends a subscription of a connection without a session. */
  unsubscribe(channel: string): void
  /** The node begins to drain. False if the client's protocol has no notice for that. */
  warnOfDrain(reconnectAfter: number): boolean
  /** The drain of the node has reached this connection: asks the handler to end. */
  drain(): Ending
}

/** Receives the events of all connections of a node. The methods must be fast: some are called for each message. */
export interface ConnectionObserver {
  opened(connection: Connection): void
  /** The user of the connection became known after the connection was opened. */
  identified(connection: Connection): void
  /**
   * @param code The code of the close frame that was sent; 1006 if none was sent.
   * @param isAnswered The client has answered the close frame, or has sent one itself.
   */
  closed(connection: Connection, code: number, isAnswered: boolean): void
  received(bytes: number): void
  rejected(reason: string): void
  roundTrip(milliseconds: number): void
  heartbeatTimeout(): void
}
