/**
 * The client for `app.ws` routes, for browsers and other platforms with a WebSocket: `connect`, and two helpers for
 * applications with their own client. The build combines all of it into one file without imports.
 */
import { closeAdvice } from '../protocol/close-advice.ts'

export { subprotocols } from '../protocol/subprotocol.ts'
export { connect } from './connect.ts'
export type { ClientEvents, ClientState, Failure, Publication } from './events.ts'
export type { SocketConstructor, SocketLike } from './link.ts'
export type { ConnectOptions, RealtimeClient, RequestOptions } from './realtime-client.ts'

/**
 * True if a client should reconnect after a close with this code. After 4401, fetch a new token first, and stop if the
 * server refuses that token too. After 4429, wait longer than usual.
 */
export function shouldReconnect(code: number): boolean {
  return closeAdvice(code) !== 'stop'
}
