/**
 * What a client does after a close code. This is separate from the table of the codes, because a browser does not need
 * the reasons in that table.
 */

/**
 * What a client does after a close: stop, reconnect with backoff, reconnect with a new token, or reconnect after a
 * longer wait.
 */
export type CloseAdvice = 'stop' | 'reconnect' | 'new-token' | 'slow-reconnect'

const RECONNECT = [1001, 1006, 1011, 1012, 1013]
// Codes without a reconnect, in a range in which other codes mean reconnect.
const STOP = [4400, 4403, 4406, 4409]

/** First the codes of RFC 6455 and of this package, then the ranges of the channel protocol. Any other code: stop. */
export function closeAdvice(code: number): CloseAdvice {
  if (code === 4401) return 'new-token'
  if (code === 4429) return 'slow-reconnect'
  const isInRange = (code >= 3000 && code < 3500) || (code >= 4000 && code < 4500)
  return RECONNECT.includes(code) || (isInRange && !STOP.includes(code)) ? 'reconnect' : 'stop'
}
