/**
 * Two helpers for browser code that talks to `app.ws` routes. No client: reconnecting with backoff and jitter is what
 * well-kept libraries do.
 */
import { closeAdvice } from '../protocol/close-codes.ts'

export { subprotocols } from '../protocol/subprotocol.ts'

/**
 * Whether to reconnect after a close with this code. With 4401 fetch a new token first, and stop where a second one
 * is refused too; with 4429 wait longer than usual.
 */
export function shouldReconnect(code: number): boolean {
  return closeAdvice(code) !== 'stop'
}
