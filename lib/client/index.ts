/**
 * The client of `app.ws` routes, for browsers and whatever else has a WebSocket: `connect`, and two helpers for code
 * that has a client of its own. The build makes one file without imports of it.
 */
import { closeAdvice } from '../protocol/close-advice.ts'

export { subprotocols } from '../protocol/subprotocol.ts'
export { connect } from './connect.ts'
export type { ClientEvents, ClientState, Failure, Publication } from './events.ts'
export type { SocketConstructor, SocketLike } from './link.ts'
export type { ConnectOptions, RealtimeClient, RequestOptions } from './realtime-client.ts'

/**
 * Whether to reconnect after a close with this code. With 4401 fetch a new token first, and stop if a second one is
 * refused too; with 4429 wait longer than usual.
 */
export function shouldReconnect(code: number): boolean {
  return closeAdvice(code) !== 'stop'
}
