// A client refreshes when the announced time is over. It is shorter than the real time by this share, which is at least
// MIN_MARGIN and at most MAX_MARGIN seconds.
const SHARE = 0.1
const MIN_MARGIN = 1
const MAX_MARGIN = 30

/**
 * The seconds until `expiresAt` (seconds since 1970) that are announced to a client. They are a little less than the
 * real time, so that the client sends a new token before the old one has expired. Undefined if nothing expires.
 */
export function timeToLive(expiresAt: number | undefined): number | undefined {
  if (expiresAt === undefined || expiresAt === Number.POSITIVE_INFINITY) return undefined
  const left = expiresAt - Date.now() / 1000
  const margin = Math.min(MAX_MARGIN, Math.max(MIN_MARGIN, left * SHARE))
  return Math.max(1, Math.floor(left - margin))
}
