import type { Duplex } from 'node:stream'
import type { WebSocket } from 'ws'
import type { Connection, ConnectionObserver, ConnectionSettings } from '../connection/connection.ts'
import type { Turn } from '../connection/turn.ts'
import type { PublishOptions, PublishResult } from '../hub/publish-options.ts'
import type { SubscribeOptions, SubscribeResult } from '../hub/subscribe-options.ts'
import type { Rate } from '../options/options.ts'
import type { TimerWheel } from '../timing/timer-wheel.ts'

/** What the sockets need of the channels: subscriptions and publications. */
export interface Streams {
  subscribe(socket: Connection, channel: string, options: SubscribeOptions | undefined): Promise<SubscribeResult>
  unsubscribe(socket: Connection, channel: string): void
  publish(channel: string, data: unknown, options: PublishOptions | undefined): Promise<PublishResult>
  /** The socket has ended: its subscriptions are removed. */
  closed(socket: Connection): void
  /** The socket's reader took what waited for it. */
  caughtUp(socket: Connection): void
}

/** What all sockets of one registration share. */
export interface SocketContext {
  readonly wheel: TimerWheel
  readonly turn: Turn
  readonly random: () => number
  readonly streams: Streams
  readonly observer: ConnectionObserver
  /** Takes one of a user's tokens: 0, or the milliseconds until there may be one. */
  userRate(user: string, rate: Rate): number
  /** The sockets that are open, as `ws` has them; undefined if its server does not track them. */
  readonly clients?: Pick<Set<WebSocket>, 'add' | 'delete'> | undefined
  /** What the handshake settled for the connection on that stream. */
  settingsOf(stream: Duplex): ConnectionSettings
}
