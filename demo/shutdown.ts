import cluster from 'node:cluster'
import { constants } from 'node:os'
import { setTimeout as wait } from 'node:timers/promises'
import closeWithGrace from 'close-with-grace'
import type { FastifyInstance } from 'fastify'

// The limit for connections that are neither idle nor done after the close began: half a request, an unread response.
const REQUESTS_GRACE = 500
// Added to the drain's own timeout: for the close of the server and of Redis, and for the log.
const CLOSE_GRACE = 3_000
// The log is written asynchronously. Without this process.exit() would lose its last lines.
const LOG_GRACE = 300
// The other events of close-with-grace. `endOnFaults` handles faults, and the primary process handles SIGHUP.
const OTHER_EVENTS = [
  'SIGHUP',
  'SIGQUIT',
  'SIGILL',
  'SIGTRAP',
  'SIGABRT',
  'SIGBUS',
  'SIGFPE',
  'SIGSEGV',
  'SIGUSR2',
  'uncaughtException',
  'unhandledRejection',
  'beforeExit'
] as const

/**
 * On SIGTERM or SIGINT: drains (while /ready answers 503 and /health 200), closes, and exits with 0. A second signal
 * ends the process at once, with 128 plus the signal's number, as a shell reports it. If the close hangs or fails, the
 * process exits with 1.
 */
export function endOnSignals(app: FastifyInstance, drainTimeout: number): void {
  if (cluster.isWorker) process.on('SIGINT', () => undefined)
  closeWithGrace(
    {
      delay: drainTimeout + CLOSE_GRACE,
      // Ctrl-C in a terminal reaches every process of a group. A worker ignores it, since the SIGTERM of its primary
      // process would otherwise be a second signal.
      skip: cluster.isWorker ? [...OTHER_EVENTS, 'SIGINT'] : [...OTHER_EVENTS],
      logger: { error: (err) => app.log.fatal({ err }, 'the close failed') },
      onTimeout: () => app.log.fatal('the close took too long'),
      onSecondSignal(signal) {
        app.log.warn({ signal }, 'second signal: exit at once')
        process.exit(128 + constants.signals[signal])
      }
    },
    async ({ signal }) => {
      app.log.info({ signal }, 'shutting down')
      // One of several workers: clients that reconnect must not reach the worker that ends.
      if (cluster.isWorker) app.server.close()
      await app.realtime.drain()
      setTimeout(() => app.server.closeAllConnections(), REQUESTS_GRACE).unref()
      await app.close()
      app.log.info('closed')
      await wait(LOG_GRACE)
    }
  )
}

/** After an uncaught fault the state is unknown, so the process ends. */
export function endOnFaults(app: FastifyInstance): void {
  process.on('uncaughtException', (err) => {
    app.log.fatal({ err }, 'uncaught exception')
    process.exit(1)
  })
}
