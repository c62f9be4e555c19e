import { setImmediate as turn } from 'node:timers/promises'
import { getHeapStatistics, writeHeapSnapshot } from 'node:v8'
import jwt from '@fastify/jwt'
import Fastify from 'fastify'
import realtime from '../../lib/index.ts'
import { testSecret } from '../../lib/testing/token.ts'

/*
 * A process of its own for test/cases/g3-memory.test.ts, started with --expose-gc. The clients are in another process, so
 * that only what the server keeps is measured, and so that no token is here that no client has sent.
 */

export type MemoryQuestion =
  | { ask: 'measure'; connections: number }
  | { ask: 'alive' }
  | { ask: 'snapshot'; file: string }

const gc = (globalThis as { gc?: () => void }).gc as () => void
const send = process.send?.bind(process) as (message: unknown) => void

const watched: Record<string, WeakRef<object>[]> = {}
function watch(kind: string, objects: Readonly<Record<string, object>>): void {
  for (const [name, object] of Object.entries(objects)) {
    const key = `${kind} ${name}`
    watched[key] = [...(watched[key] ?? []), new WeakRef(object)]
  }
}

const app = Fastify()
await app.register(jwt, { secret: testSecret })
await app.register(realtime)
app.addHook('onRequest', async (request, reply) => {
  const kind = request.routeOptions.url as string
  watch(kind, { request, 'raw request': request.raw, reply, response: reply.raw })
})
app.ws('/messages', async (socket) => {
  for await (const message of socket.messages()) socket.sendJson(message)
})
app.get('/raw', { websocket: true }, (socket) => {
  socket.on('message', (data) => socket.send(String(data)))
})
app.get('/other', { websocket: true }, () => undefined)
const kept: unknown[] = []
app.ws('/keeps', async (socket, request) => {
  kept.push(request)
  for await (const message of socket.messages()) socket.sendJson(message)
})
app.channel('news')
await app.listen({ port: 0, host: '127.0.0.1' })

async function settle(): Promise<void> {
  for (let i = 0; i < 3; i++) {
    await turn()
    gc()
  }
}

const ANSWERS: { [Q in MemoryQuestion as Q['ask']]: (question: Q) => unknown } = {
  /** Once that many connections are open and no more: the bytes in use, on the heap and in buffers. */
  measure: async ({ connections }) => {
    while (app.realtime.connections().length !== connections) await turn()
    await settle()
    return { heap: getHeapStatistics().used_heap_size, buffers: process.memoryUsage().arrayBuffers }
  },
  /** How many objects of each kind were watched, and how many of them are still there. */
  alive: async () => {
    await settle()
    const alive = (refs: WeakRef<object>[]) => refs.filter((ref) => ref.deref() !== undefined).length
    return Object.fromEntries(Object.entries(watched).map(([key, refs]) => [key, [refs.length, alive(refs)]]))
  },
  snapshot: async ({ file }) => {
    await settle()
    return writeHeapSnapshot(file)
  }
}

process.on('message', async (question: MemoryQuestion) => send(await ANSWERS[question.ask](question as never)))
process.on('disconnect', () => process.exit())
send(app.server.address())
