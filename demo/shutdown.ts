import cluster from 'node:cluster'
import { constants } from 'node:os'
import type { FastifyInstance } from 'fastify'

// What is neither idle nor done this long after the close began: half a request, a response that nobody reads.
const REQUESTS_GRACE = 500
// Once all is closed the process ends by itself, when the log's last lines are written, and no later than this.
const LOG_GRACE = 300
// Past the drain's own timeout: the close of the server, of Redis and of whatever hangs.
const CLOSE_GRACE = 3_000

/**
 * On SIGTERM or SIGINT: drains (while /ready says 503 and /health 200), closes, and exits with 0. A second signal ends
 * the process at once, with 128 and the signal's number as a shell would report it; so does a close that hangs, with 1.
 *
 * Ctrl-C in a terminal reaches every process of a group: a worker leaves it to its primary process, whose SIGTERM would
 * be a second signal otherwise.
 */
export function endOnSignals(app: FastifyInstance, drainTimeout: number): void {
  let ending = false
  if (cluster.isWorker) process.on('SIGINT', () => undefined)
  for (const signal of cluster.isWorker ? (['SIGTERM'] as const) : (['SIGTERM', 'SIGINT'] as const)) {
    process.on(signal, () => {
      if (ending) {
        app.log.warn({ signal }, 'second signal: exit at once')
        process.exit(128 + constants.signals[signal])
      }
      ending = true
      app.log.info({ signal }, 'shutting down')
      setTimeout(() => {
        app.log.fatal('the close took too long')
        process.exit(1)
      }, drainTimeout + CLOSE_GRACE).unref()
      void end(app)
    })
  }
}

async function end(app: FastifyInstance): Promise<void> {
  try {
    // One of several workers: those who reconnect are not to be handed to the one that goes.
    if (cluster.isWorker) app.server.close()
    await app.realtime.drain()
    setTimeout(() => app.server.closeAllConnections(), REQUESTS_GRACE).unref()
    await app.close()
    app.log.info('closed')
    setTimeout(() => process.exit(0), LOG_GRACE).unref()
  } catch (err) {
    app.log.fatal({ err }, 'the close failed')
    process.exit(1)
  }
}

/** A fault that nothing caught leaves an unknown state behind: the process is not kept. */
export function endOnFaults(app: FastifyInstance): void {
  process.on('uncaughtException', (err) => {
    app.log.fatal({ err }, 'uncaught exception')
    process.exit(1)
  })
}
