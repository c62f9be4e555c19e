import cluster from 'node:cluster'
import { parseArgs } from 'node:util'
import type { FastifyInstance } from 'fastify'
import { adminAddress, OPEN_AS_ADMINISTRATOR } from './admin-key.ts'
import { buildApp } from './app.ts'
import { findRedisServer } from './own-redis.ts'
import { readSettings, type Settings, SettingsError } from './settings.ts'
import { endOnFaults, endOnSignals } from './shutdown.ts'
import { reportFault } from './worker-start.ts'
import { runWorkers } from './workers.ts'

/*
 * Runs the demo: `npm start`. It logs JSON lines to stdout. The line "Server listening at" with the address is
 * Fastify's.
 */

// HMAC-SHA256 requires a key as long as its output (RFC 7518 section 3.2).
const MIN_SECRET_BYTES = 32
// Node's default is 511. If thousands come back at once and the queue is full, they try again after 1, 3, 7… seconds.
const BACKLOG = 4096
// At most one line in this many milliseconds about connections that could not be accepted.
const ACCEPT_LOG_INTERVAL = 10_000
const NO_REDIS =
  'several workers know each other through Redis only, and there is no redis-server on PATH or at REDIS_SERVER_PATH: ' +
  'install it (Debian: apt-get install redis-server; macOS: brew install redis), or set ' +
  'REDIS_URL=redis://127.0.0.1:6379 to use one that runs'

async function main(): Promise<void> {
  const settings = readSettings(process.env)
  const workers = readWorkers(process.argv.slice(2))
  if (workers > 0 && cluster.isPrimary) {
    const redisServer = settings.redisUrl === undefined ? findRedisServer(process.env) : undefined
    if (settings.redisUrl === undefined && redisServer === undefined) throw new SettingsError(NO_REDIS)
    await runWorkers(workers, settings, redisServer)
    return
  }
  const app = await buildApp(settings)
  endOnFaults(app)
  endOnSignals(app, settings.drain.timeout)
  warnOfSecret(app, settings)
  await listen(app, settings)
}

/** `--workers N`; 0 for this process alone. */
function readWorkers(args: string[]): number {
  try {
    const { values } = parseArgs({ args, options: { workers: { type: 'string' } } })
    if (values.workers === undefined) return 0
    if (/^[1-9]\d?$/.test(values.workers)) return Number(values.workers)
  } catch {
    // Reported below: this is the only option.
  }
  throw new SettingsError('the only option is --workers N, with N from 1 to 99')
}

async function listen(app: FastifyInstance, { host, port, adminKey }: Settings): Promise<void> {
  try {
    const address = await app.listen({ host, port, backlog: BACKLOG })
    // If there are workers, the primary process prints it once.
    if (!cluster.isWorker) app.log.info({ address: adminAddress(address, adminKey) }, OPEN_AS_ADMINISTRATOR)
  } catch (err) {
    const { code } = err as NodeJS.ErrnoException
    if (code === 'EADDRINUSE') fail(app, `port ${port} of ${host} is taken: set PORT to another one`, { code })
    else if (code === 'EACCES') fail(app, `port ${port} of ${host} may not be used: set PORT to another one`, { code })
    else fail(app, 'cannot listen', { err })
  }
  // For example out of file descriptors: open connections stay, and new ones are accepted once there are descriptors.
  let last = Number.NEGATIVE_INFINITY
  app.server.on('error', (err) => {
    const now = performance.now()
    if (now - last < ACCEPT_LOG_INTERVAL) return
    last = now
    app.log.warn({ err }, 'a connection could not be accepted')
  })
}

function fail(app: FastifyInstance, message: string, details: object): never {
  app.log.fatal(details, message)
  reportFault(message)
  process.exit(1)
}

function warnOfSecret({ log }: FastifyInstance, { jwtSecret, jwtSecretIsRandom }: Settings): void {
  if (jwtSecretIsRandom) log.warn('JWT_SECRET is not set: using a random one, tokens end with this process')
  else if (Buffer.byteLength(jwtSecret) < MIN_SECRET_BYTES) log.warn('JWT_SECRET is shorter than 32 bytes')
}

main().catch((error) => {
  // There is no logger yet, so this writes one line of the same form.
  const said = error instanceof SettingsError ? { msg: error.message } : { msg: 'cannot start', err: String(error) }
  reportFault(said.msg)
  process.stdout.write(`${JSON.stringify({ level: 60, time: Date.now(), pid: process.pid, ...said })}\n`, () => {
    process.exit(1)
  })
})
