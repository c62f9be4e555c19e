import { randomUUID } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import closeWithGrace from 'close-with-grace'
import Fastify from 'fastify'
import realtime, { type ChannelOptions, forbidden } from 'fastify-realtime'
import { Type } from 'typebox'
import { authenticate, requireUser, site } from '../site.ts'
import { ask } from './model.ts'

const PUBLISH_INTERVAL = 50 // milliseconds between two publications of one answer
const MOST_TEXT = 50_000 // characters of an answer
const MOST_RUNNING = 2 // answers of one user at a time
const MOST_LISTED = 20

const Question = Type.Object(
  { question: Type.String({ minLength: 1, maxLength: 2_000 }) },
  { additionalProperties: false }
)
const AnswerId = Type.Object({ id: Type.String({ format: 'uuid' }) })

export async function buildApp() {
  const app = Fastify({ logger: true })
  await app.register(site, { page: new URL('page/', import.meta.url) })
  await app.register(realtime, {
    redis: process.env.REDIS_URL,
    auth: { sources: [], authenticate },
    // Without `origins`, only pages of this host may connect.
    limits: { maxPayload: 16_384, connections: { perUser: 20 } }
  })

  // Each publication is the whole answer so far. A page that comes back gets the newest, and deltas after it.
  const kind: ChannelOptions = {
    history: { size: 1, ttl: 3_600_000 },
    recover: 'latest',
    delta: true,
    onSubscribe: ({ user, params }) => {
      if (user === null || params.user !== user.sub) throw forbidden()
    }
  }
  app.channel('answers/:user', kind) // the ids of the user's answers
  app.channel('answers/:user/:id', kind)

  const ids = new Map<string, readonly string[]>() // your database
  const running = new Map<
    string,
    { readonly user: string; readonly stop: AbortController; readonly done: Promise<void> }
  >()

  let isStopping = false

  async function publish(user: string, answer: { id: string; question: string; text: string; state: string }) {
    await app.realtime.publish(app.channelName('answers/:user/:id', { user, id: answer.id }), answer)
  }

  async function write(user: string, id: string, question: string, signal: AbortSignal): Promise<void> {
    let text = ''
    let state = 'done'
    let next = 0
    try {
      for await (const piece of ask(question, signal)) {
        text = (text + piece).slice(0, MOST_TEXT)
        if (performance.now() < next) continue // the next publication has this piece too
        await publish(user, { id, question, text, state: 'writing' })
        next = performance.now() + PUBLISH_INTERVAL
      }
    } catch (err) {
      state = 'failed'
      if (!signal.aborted) app.log.error({ err }, 'an answer failed')
    }
    if (signal.aborted) state = 'stopped'
    // The last state matters, so a broker that is not available gets some time.
    for (let attempt = 1; ; attempt++) {
      try {
        return await publish(user, { id, question, text, state })
      } catch (err) {
        if (attempt === 5) return app.log.error({ err }, 'the end of an answer was not published')
        await wait(1_000)
      }
    }
  }

  const routes = app.withTypeProvider<TypeBoxTypeProvider>()
  const options = { onRequest: requireUser, schema: { body: Question }, bodyLimit: 16_384 }
  routes.post('/questions', options, async ({ body: { question }, session }, reply) => {
    if (isStopping) return reply.code(503).header('retry-after', '5').send({ message: 'The server restarts' })
    const user = session.user as string
    const own = [...running.values()].filter((one) => one.user === user)
    if (own.length >= MOST_RUNNING) return reply.code(429).send({ message: 'Two answers at a time' })
    const id = randomUUID()
    const stop = new AbortController()
    const done = write(user, id, question, stop.signal).finally(() => running.delete(id))
    running.set(id, { user, stop, done })
    ids.set(user, [id, ...(ids.get(user) ?? [])].slice(0, MOST_LISTED))
    await app.realtime.publish(app.channelName('answers/:user', { user }), ids.get(user))
    return reply.code(202).send({ id })
  })
  routes.delete('/questions/:id', { onRequest: requireUser, schema: { params: AnswerId } }, async (request, reply) => {
    const one = running.get(request.params.id)
    if (one?.user !== request.session.user) return reply.code(404).send({ message: 'No such answer' })
    one?.stop.abort()
    return { stopped: true }
  })

  /** Ends the answers, so that none is left without an end when the process ends. */
  async function stopAnswers(): Promise<void> {
    isStopping = true
    for (const { stop } of running.values()) stop.abort()
    await Promise.all([...running.values()].map(({ done }) => done))
  }
  return { app, stopAnswers }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { app, stopAnswers } = await buildApp()
  closeWithGrace({ delay: 35_000 }, async ({ err }) => {
    if (err) app.log.error({ err }, 'the process ends')
    await stopAnswers() // before the drain, so that the pages see it
    await app.realtime.drain()
    await app.close()
  })
  await app.listen({ host: process.env.HOST ?? '127.0.0.1', port: Number(process.env.PORT ?? 3000) })
}
