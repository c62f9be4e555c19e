import { once } from 'node:events'
import { connect } from 'node:net'

/** The run is not possible. The message says what would make it possible. */
export class RunError extends Error {}

// Files besides those of the connections.
const SPARE_FILES = 100
const PROBE_TIMEOUT = 5_000

/** Throws a RunError unless this process may open a file for each connection. */
export function checkFileLimit(connections: number, limit = ownFileLimit()): void {
  const needed = connections + SPARE_FILES
  if (needed <= limit) return
  throw new RunError(
    `${connections} connections need ${needed} file descriptors, and this process may open ${limit}: raise the limit ` +
      '(as root: ulimit -n N in this shell; in a container: --ulimit nofile=N), or ask for fewer connections'
  )
}

function ownFileLimit(): number {
  const { userLimits } = process.report.getReport() as { userLimits?: { open_files?: { soft?: unknown } } }
  return Number(userLimits?.open_files?.soft) || Number.POSITIVE_INFINITY
}

/** Throws a RunError if nothing answers there. */
export async function checkServer({ hostname, port, protocol }: URL): Promise<void> {
  const at = { host: hostname.replace(/^\[|\]$/g, ''), port: Number(port || (protocol === 'wss:' ? 443 : 80)) }
  const socket = connect(at)
  try {
    await once(socket, 'connect', { signal: AbortSignal.timeout(PROBE_TIMEOUT) })
  } catch (error) {
    const why = (error as NodeJS.ErrnoException).code
    throw new RunError(`nothing answers at ${at.host}:${at.port} (${why}): start the server first, or check the URL`)
  } finally {
    socket.destroy()
  }
}
