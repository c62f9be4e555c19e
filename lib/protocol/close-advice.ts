/**
 * What a client does about a close code. It stands apart from the table of the codes, whose reasons a browser does not
 * need.
 */

/** What a client does about a close: stop, reconnect with backoff, or fetch a new token first. */
export type CloseAdvice = 'stop' | 'reconnect' | 'new-token' | 'slow-reconnect'

const RECONNECT = [1001, 1006, 1011, 1012, 1013]
// Of a range in which others reconnect.
const STOP = [4400, 4403, 4406, 4409]

/** The codes of RFC 6455 and ours, then the ranges of the channel protocol, then stop. */
export function closeAdvice(code: number): CloseAdvice {
  if (code === 4401) return 'new-token'
  if (code === 4429) return 'slow-reconnect'
  const isInRange = (code >= 3000 && code < 3500) || (code >= 4000 && code < 4500)
  return RECONNECT.includes(code) || (isInRange && !STOP.includes(code)) ? 'reconnect' : 'stop'
}
