// Clients come back when the time that they were told is over: a tenth before the end, and at least a second.
const SHARE = 0.1
const MOST = 30
const LEAST = 1

/**
 * Seconds that a client is told it has, of those until `expiresAt` (seconds since 1970): a little less, so that it
 * comes with a new token before the old one has expired. Undefined where nothing expires.
 */
export function timeToLive(expiresAt: number | undefined): number | undefined {
  if (expiresAt === undefined || expiresAt === Number.POSITIVE_INFINITY) return undefined
  const left = expiresAt - Date.now() / 1000
  const margin = Math.min(MOST, Math.max(LEAST, left * SHARE))
  return Math.max(1, Math.floor(left - margin))
}
