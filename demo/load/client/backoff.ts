// The defaults of the published clients of the channel protocol.
const LEAST = 500
const MOST = 20_000

/**
 * Milliseconds to wait before an attempt to reconnect, after this many failures: exponential, with full jitter, so that
 * clients that were cut together do not come back together.
 */
export function backoff(failures: number, random: () => number = Math.random): number {
  return random() * Math.min(MOST, LEAST * 2 ** failures)
}
