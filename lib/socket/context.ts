import type { Duplex } from 'node:stream'
import type { WebSocket } from 'ws'
import type { Connection, ConnectionSettings } from '../connection/connection.ts'
import type { ConnectionContext } from '../connection/context.ts'
import type { PublishOptions, PublishResult } from '../hub/publish-options.ts'
import type { SubscribeOptions, SubscribeResult } from '../hub/subscribe-options.ts'

/** The channels, as sockets use them: subscriptions and publications. */
export interface Streams {
  subscribe(socket: Connection, channel: string, options: SubscribeOptions | undefined): Promise<SubscribeResult>
  unsubscribe(socket: Connection, channel: string): void
  publish(channel: string, data: unknown, options: PublishOptions | undefined): Promise<PublishResult>
  /** The socket has ended: removes its subscriptions. */
  closed(socket: Connection): void
  /** The slow reader of the socket has read what was waiting for it. */
  caughtUp(socket: Connection): void
}

/** What all sockets of one registration share. */
export interface SocketContext extends ConnectionContext {
  readonly streams: Streams
  /** The open sockets, in the set that `ws` keeps. Undefined if the server of `ws` does not track them. */
  readonly clients?: Pick<Set<WebSocket>, 'add' | 'delete'> | undefined
  /** The settings that the handshake determined for the connection on a stream. */
  settingsOf(stream: Duplex): ConnectionSettings
}
