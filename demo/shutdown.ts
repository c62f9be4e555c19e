import cluster from 'node:cluster'
import { constants } from 'node:os'
import { setTimeout as wait } from 'node:timers/promises'
import closeWithGrace from 'close-with-grace'
import type { FastifyInstance } from 'fastify'

// What is neither idle nor done this long after the close began: half a request, a response that nobody reads.
const REQUESTS_GRACE = 500
// Past the drain's own timeout: the close of the server and of Redis, and the log.
const CLOSE_GRACE = 3_000
// The log is written asynchronously, and process.exit() overtakes its last lines.
const LOG_GRACE = 300
// What else close-with-grace listens for. Faults are `endOnFaults`'s, and SIGHUP is the primary process's.
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
 * On SIGTERM or SIGINT: drains (while /ready says 503 and /health 200), closes, and exits with 0. A second signal ends
 * the process at once, with 128 and the signal's number as a shell would report it. If the close hangs or fails, the
 * process exits with 1.
 */
export function endOnSignals(app: FastifyInstance, drainTimeout: number): void {
  if (cluster.isWorker) process.on('SIGINT', () => undefined)
  closeWithGrace(
    {
      delay: drainTimeout + CLOSE_GRACE,
      // Ctrl-C in a terminal reaches every process of a group. A worker leaves it to its primary process, whose SIGTERM
      // would be a second signal otherwise.
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
      // One of several workers: those who reconnect are not to be handed to the one that goes.
      if (cluster.isWorker) app.server.close()
      await app.realtime.drain()
      setTimeout(() => app.server.closeAllConnections(), REQUESTS_GRACE).unref()
      await app.close()
      app.log.info('closed')
      await wait(LOG_GRACE)
    }
  )
}

/** A fault that nothing caught leaves an unknown state behind: the process is not kept. */
export function endOnFaults(app: FastifyInstance): void {
  process.on('uncaughtException', (err) => {
    app.log.fatal({ err }, 'uncaught exception')
    process.exit(1)
  })
}
