import type { Connection } from '../connection/connection.ts'
import { clipped } from '../input/clipped.ts'

/**
 * Writes a log line when a connection has ended. The line contains nothing that the client sent: no message, no token,
 * and not the reason of its close frame.
 */
export function logEnd(socket: Connection, code: number, level: 'debug' | 'info'): void {
  const { id, user, settings, endedBy, roundTripTime, stats } = socket
  const { log, route, kind, transport } = settings
  // How many messages waited for the handler is of no interest once the connection has ended.
  const { queued: _, ...counts } = stats
  const sub = user?.sub === undefined ? undefined : clipped(user.sub)
  const line = { connection: id, user: sub, route, kind, transport, code, by: endedBy, roundTripTime, ...counts }
  if (level === 'info') log.info(line, 'connection ended')
  else log.debug(line, 'connection ended')
}
