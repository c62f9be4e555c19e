import cluster, { type Worker } from 'node:cluster'
import { once } from 'node:events'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import jwt from '@fastify/jwt'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import closeWithGrace from 'close-with-grace'
import Fastify from 'fastify'
import realtime, { forbidden } from 'fastify-realtime'
import { Type } from 'typebox'
import { readSecret } from '../secret.ts'

const Board = Type.Object({ board: Type.String({ pattern: '^[a-z0-9]{1,32}$' }) })
const Mark = Type.Object({ number: Type.Integer({ minimum: 0 }) }, { additionalProperties: false })

const members = new Map([['plan', ['ada', 'grace']]]) // your database
const START_TIME = 60_000 // milliseconds that a new worker may take until it listens

export async function buildApp() {
  const redis = process.env.REDIS_URL
  if (!redis) throw new Error('Set REDIS_URL: without Redis, each process has channels of its own')
  const app = Fastify({ logger: true, bodyLimit: 4_096 })
  await app.register(jwt, { secret: readSecret('JWT_SECRET') })
  await app.register(realtime, {
    redis,
    // Without `origins`, only pages of this host may connect.
    limits: { maxPayload: 16_384, connections: { perUser: 50 } }
  })
  app.get('/health', async () => ({ healthy: true }))
  app.get('/ready', async (_request, reply) => {
    const ready = app.realtime.ready()
    return reply.code(ready ? 200 : 503).send({ ready, pid: process.pid })
  })
  app.withTypeProvider<TypeBoxTypeProvider>().channel('boards/:board', {
    history: { size: 10_000, ttl: 600_000 },
    schema: { params: Board, publication: Mark },
    onSubscribe: ({ user, params }) => {
      if (!members.get(params.board)?.includes(String(user?.sub))) throw forbidden()
    },
    // A mark that is published again, after a break, is there once.
    onPublish: ({ user, data }) => ({
      data: { from: user?.sub, number: data.number },
      idempotencyKey: String(data.number)
    })
  })
  return app
}

/** One process that serves. In a container, run it alone: WORKERS=0. */
async function runServer(): Promise<void> {
  const app = await buildApp()
  // Ctrl-C and the end of a terminal reach every process of the group. The primary process passes them on.
  if (cluster.isWorker) for (const signal of ['SIGINT', 'SIGHUP'] as const) process.on(signal, () => {})
  closeWithGrace({ delay: 30_000, skip: cluster.isWorker ? ['SIGINT', 'SIGHUP'] : [] }, async ({ err }) => {
    if (err) app.log.error({ err }, 'the process ends')
    if (cluster.isWorker) app.server.close() // new connections go to the other workers
    await app.realtime.drain()
    await app.close()
  })
  await app.listen({ host: process.env.HOST ?? '127.0.0.1', port: Number(process.env.PORT ?? 3000) })
}

/** Starts the workers, replaces those that die, and on SIGHUP replaces all of them, one after another. */
function runWorkers(count: number): void {
  const stopping = new WeakSet<Worker>()
  const env = { JWT_SECRET: readSecret('JWT_SECRET') } // all workers accept the same tokens
  let isEnding = false
  let isRestarting = false

  const log = (msg: string) => console.log(JSON.stringify({ level: 30, time: Date.now(), pid: process.pid, msg }))
  const fork = () => cluster.fork(env)
  const workers = () => Object.values(cluster.workers ?? {}).filter((worker) => worker !== undefined)

  async function stop(worker: Worker): Promise<void> {
    if (worker.isDead()) return
    const exit = once(worker, 'exit')
    // A second signal would end a worker that already drains.
    if (!stopping.has(worker)) worker.process.kill('SIGTERM')
    stopping.add(worker)
    await exit
  }

  async function restart(): Promise<void> {
    for (const old of workers().filter((worker) => !worker.isDead())) {
      const successor = fork()
      const signal = AbortSignal.timeout(START_TIME)
      const died = once(successor, 'exit', { signal }).then(() => false)
      const listens = await Promise.race([once(successor, 'listening', { signal }), died]).catch(() => false)
      if (isEnding) return
      if (listens === false) {
        // A new version that cannot start must not take the place of one that runs.
        successor.process.kill('SIGKILL')
        return log('restart given up: the other workers stay')
      }
      await stop(old)
    }
    log('all workers restarted')
  }

  for (let index = 0; index < count; index++) fork()
  cluster.on('exit', (worker) => {
    // A worker that dies is replaced, but not in a tight loop.
    const replace = () => !isEnding && !isRestarting && workers().length < count && fork()
    if (!stopping.has(worker)) setTimeout(replace, 1_000)
  })
  process.on('SIGHUP', async () => {
    if (isRestarting) return
    isRestarting = true
    await restart()
    isRestarting = false
    while (!isEnding && workers().length < count) fork()
  })
  closeWithGrace({ delay: 35_000, skip: ['SIGHUP'] }, async () => {
    isEnding = true
    await Promise.all(workers().map(stop))
  })
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const count = Number(process.env.WORKERS ?? availableParallelism())
  if (cluster.isPrimary && count > 0) runWorkers(count)
  else await runServer()
}
