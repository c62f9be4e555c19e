// What the published clients of the channel protocol do unless told otherwise.
const LEAST = 500
const MOST = 20_000

/**
 * Milliseconds to wait before an attempt to reconnect, after so many that failed: exponential, with full jitter, so
 * that those who were cut together don't come back together.
 */
export function backoff(failures: number, random: () => number = Math.random): number {
  return random() * Math.min(MOST, LEAST * 2 ** failures)
}
