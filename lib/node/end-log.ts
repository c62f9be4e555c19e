import type { Connection } from '../connection/connection.ts'
import { clipped } from '../input/clipped.ts'

/**
 * Writes the line at the end of a connection. It holds nothing that the client sent: no message, no token, and not the
 * reason of its close frame.
 */
export function logEnd(socket: Connection, code: number, level: 'debug' | 'info'): void {
  const { id, user, settings, endedBy, roundTripTime, stats } = socket
  const { log, route, kind } = settings
  // What waits for a handler that has no connection any more says nothing.
  const { queued: _, ...counts } = stats
  const sub = user?.sub === undefined ? undefined : clipped(user.sub)
  const line = { connection: id, user: sub, route, kind, code, by: endedBy, roundTripTime, ...counts }
  if (level === 'info') log.info(line, 'connection ended')
  else log.debug(line, 'connection ended')
}
