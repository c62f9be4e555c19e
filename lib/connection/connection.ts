import type { Log } from '../input/guarded-log.ts'
import type { CompiledValidator } from '../input/validator.ts'
import type { Claims, ResolvedHeartbeat, ResolvedLimits } from '../options/options.ts'
import type { CloseCode } from '../protocol/close-codes.ts'
import type { Position } from '../protocol/position.ts'
import type { Outbox } from './outbox.ts'
import type { ConnectionStats } from './statistics.ts'

/**
 * How a connection is used: `raw` keeps the plain `ws` API (routes with `{ websocket: true }`), `messages` is an
 * `app.ws` route, `channels` speaks the channel protocol, `refused` is closed before anyone sees it.
 */
export type ConnectionKind = 'raw' | 'messages' | 'channels' | 'refused'

/** What the handshake settled for one connection. */
export interface ConnectionSettings {
  readonly id: string
  readonly kind: ConnectionKind
  readonly user: Claims | null
  /** When its handshake came in, by the wheel's clock. */
  readonly begunAt: number
  /** When the token expires, by the wheel's clock; Infinity for never. */
  readonly expiresAt: number
  readonly heartbeat: ResolvedHeartbeat
  readonly limits: ResolvedLimits
  readonly validator: CompiledValidator | undefined
  /** The route's pattern: a metric's label. */
  readonly route: string
  readonly log: Log
}

/** What speaks the channel protocol over a socket of the kind `channels`. */
export interface ConnectionSession {
  /** A message came. */
  receive(data: Buffer, isBinary: boolean): void
  /** Sends the protocol's own ping; false where the client can't be asked for an answer yet. */
  ping(): boolean
  /** The reader took what waited for it. */
  caughtUp(): void
  /** The connection is gone. */
  ended(): void
  /** The node drains: nothing new is begun. What was begun, if anything, is done when the promise resolves. */
  drain(): Promise<void> | undefined
  /** What the client is subscribed to. */
  readonly channels: readonly string[]
  /** Whether the client is subscribed to a channel, or is about to be by a call of the application. */
  isOn(channel: string): boolean
  /** The application subscribes the client to a channel, or ends a subscription. */
  subscribe(channel: string): void
  unsubscribe(channel: string): void
  /** The application moved the expiry of the connection, to a time in seconds since 1970. */
  extended(expiresAt: number): void
}

/** What a drain waits for before it closes a connection. */
export interface Ending {
  readonly handled: Promise<unknown> | undefined
  /** Whether the handler is in the middle of something. */
  readonly busy: boolean
}

/**
 * One client's connection, whatever carries it: what the hub, the session, the drain, the registry and the metrics see.
 * `RealtimeSocket` is one over a WebSocket.
 */
export interface Connection {
  /** Unique over all nodes. */
  readonly id: string
  /** The verified claims; null for an anonymous client. */
  readonly user: Claims | null
  readonly settings: ConnectionSettings
  readonly outbox: Outbox
  readonly stats: ConnectionStats
  /** Milliseconds; undefined before the first answered ping. */
  readonly roundTripTime: number | undefined
  /** Bytes that wait to be sent. */
  readonly bufferedAmount: number
  /** True from the moment it is closed, by either side. */
  readonly closed: boolean
  /** Who ended it; of a connection that has ended. */
  readonly endedBy: 'client' | 'server' | 'network'
  /** Channels that it may be subscribed to at a time. */
  readonly maxSubscriptions: number
  /** There if it speaks the channel protocol. */
  readonly session: ConnectionSession | undefined
  sendText(text: string): void
  close(code: number, reason: string): void
  /** Closes with one of our codes, or with the code of the channel protocol that stands for it. */
  closeWith(close: Pick<CloseCode, 'code' | 'reason'>): void
  /** Ends it at once, without a close frame. */
  terminate(): void
  /** Moves the end of its authentication, by the wheel's clock. */
  extend(expiresAt: number): void
  /** Publications of a channel were lost to it, and can't be had again; it goes on from `position`. */
  insufficientState(channel: string, position: Position): void
  /** Ends a subscription of a connection without a session. */
  unsubscribe(channel: string): void
  /** The node begins to drain. False if the client's protocol has no notice for that. */
  warnOfDrain(reconnectAfter: number): boolean
  /** Its turn in the drain has come: its handler is asked to end. */
  drain(): Ending
}

/** Who is told what happens on sockets: the node's registry and its metrics. Cheap: some are called per message. */
export interface ConnectionObserver {
  opened(connection: Connection): void
  /** Whose the connection is became known after it was opened. */
  identified(connection: Connection): void
  /**
   * @param code The code of the close frame that was sent; 1006 if there was none.
   * @param isAnswered The client has answered it, or has sent its own.
   */
  closed(connection: Connection, code: number, isAnswered: boolean): void
  received(bytes: number): void
  rejected(reason: string): void
  roundTrip(milliseconds: number): void
  heartbeatTimeout(): void
}
