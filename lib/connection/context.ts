import type { Duplex } from 'node:stream'
import type { Log } from '../input/guarded-log.ts'
import type { CompiledValidator } from '../input/validator.ts'
import type { Claims, Rate, ResolvedHeartbeat, ResolvedLimits } from '../options/options.ts'
import type { RealtimeSocket } from '../socket/realtime-socket.ts'
import type { TimerWheel } from '../timing/timer-wheel.ts'
import type { Turn } from './turn.ts'

/**
 * How a connection is used: `raw` keeps the plain `ws` API (routes with `{ websocket: true }`), `messages` is an
 * `app.ws` route, `channels` speaks the channel protocol, `refused` is closed before anyone sees it.
 */
export type SocketKind = 'raw' | 'messages' | 'channels' | 'refused'

/** What the handshake settled for one connection. */
export interface SocketSettings {
  readonly id: string
  readonly kind: SocketKind
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

/** A place in a channel's history, as clients hold it. */
export interface StreamPosition {
  readonly offset: number
  readonly epoch: string
}

/** How a socket's presence on a channel looks to others. */
export interface PresenceOptions {
  /** Describes the connection to the others on the channel (`chan_info`); a JSON value. */
  info?: unknown
}

export interface SubscribeOptions {
  /** Deliver first what was published after this position. */
  since?: StreamPosition | undefined
  /**
   * Whether the socket is in the channel's presence, as a client of the channel protocol is, and is announced if the
   * channel has `joinLeave`: from the subscription until its end. The channel must be declared with one of them.
   * @default false
   */
  presence?: boolean | PresenceOptions | undefined
}

export interface SubscribeResult extends StreamPosition {
  /** True where `since` was given and everything after it has been delivered. */
  readonly recovered: boolean
}

export interface PublishResult extends StreamPosition {}

/** A socket, or the id of a connection. */
export type ExceptedConnection = string | { readonly id: string }

export interface PublishOptions {
  /** Two publishes with one key on one channel add one publication; 1 to 255 bytes. */
  idempotencyKey?: string | undefined
  /**
   * The connection that is not given the publication, on whichever node it is: a socket, or a connection's id. It is not
   * given it later either, by a recovery. `history` shows the publication to all. A client that reconnects has a new
   * connection.
   * @default everybody is given it
   */
  except?: ExceptedConnection | undefined
}

/** What speaks the channel protocol over a socket of the kind `channels`. */
export interface SocketSession {
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

/** What the sockets need of the channels: subscriptions and publications. */
export interface Streams {
  subscribe(socket: RealtimeSocket, channel: string, options: SubscribeOptions | undefined): Promise<SubscribeResult>
  unsubscribe(socket: RealtimeSocket, channel: string): void
  publish(channel: string, data: unknown, options: PublishOptions | undefined): Promise<PublishResult>
  /** The socket is gone: drop its subscriptions. */
  closed(socket: RealtimeSocket): void
  /** The socket's reader took what waited for it. */
  caughtUp(socket: RealtimeSocket): void
}

/** Who is told what happens on sockets: the node's registry and its metrics. Cheap: some are called per message. */
export interface SocketObserver {
  opened(socket: RealtimeSocket): void
  /** Whose the connection is became known after it was opened. */
  identified(socket: RealtimeSocket): void
  closed(socket: RealtimeSocket, code: number): void
  received(bytes: number): void
  rejected(reason: string): void
  roundTrip(milliseconds: number): void
  heartbeatTimeout(): void
}

/** What all sockets of one registration share. */
export interface SocketContext {
  readonly wheel: TimerWheel
  readonly turn: Turn
  readonly random: () => number
  readonly streams: Streams
  readonly observer: SocketObserver
  /** Takes one of a user's tokens: 0, or the milliseconds until there may be one. */
  userRate(user: string, rate: Rate): number
  /** What the handshake settled for the connection on that stream. */
  settingsOf(stream: Duplex): SocketSettings
}
