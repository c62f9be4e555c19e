import { setImmediate as turn } from 'node:timers/promises'
import { getHeapStatistics } from 'node:v8'
import Fastify from 'fastify'
import realtime from '../../lib/index.ts'
import { rawUpgrade } from './raw-socket.ts'

/*
 * A process of its own for test/cases/g3-memory.test.ts, started with --expose-gc: what connections keep of their
 * handshakes. It prints one line of JSON.
 */

const gc = (globalThis as { gc?: () => void }).gc as () => void
const CONNECTIONS = 60
const TOKEN = `secret-${'t'.repeat(600)}`
const PADDING: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  large: { 'X-Large': 'x'.repeat(13_000) },
  many: Object.fromEntries(Array.from({ length: 900 }, (_, i) => [`h${i}`, 'v'])),
  // Last, when everything has been loaded and compiled.
  few: {}
}

const refs: Record<string, WeakRef<object>[]> = {}
function watch(kind: string, ...objects: object[]): void {
  refs[kind] = [...(refs[kind] ?? []), ...objects.map((object) => new WeakRef(object))]
}

const app = Fastify()
await app.register(realtime, { auth: { verify: () => ({ sub: 'ada', exp: Date.now() / 1000 + 600 }) } })
app.addHook('onRequest', async (request, reply) => {
  const kind = request.routeOptions.url as string
  watch(kind, reply.raw)
  if (kind !== '/connection/websocket') watch(kind, request, request.raw)
  watch(kind, reply)
})
app.ws('/messages', async (socket) => {
  for await (const message of socket.messages()) socket.sendJson(message)
})
app.get('/raw', { websocket: true }, (socket) => {
  socket.on('message', (data) => socket.send(String(data)))
})
app.channel('news')
await app.listen({ port: 0, host: '127.0.0.1' })
const { port } = app.server.address() as { port: number }

async function settle(): Promise<void> {
  for (let i = 0; i < 4; i++) {
    await turn()
    gc()
  }
}

async function open(path: string, headers: Readonly<Record<string, string>>): Promise<() => void> {
  const socket = await rawUpgrade(port, {
    path,
    headers,
    protocols: ['a-long-application-protocol', `bearer.${TOKEN}`]
  })
  if (socket.response.statusCode !== 101) throw new Error(socket.response.statusLine)
  return () => socket.destroy()
}

/** Heap and buffers for each of a number of connections, on both sides. */
async function bytesPerConnection(path: string, headers: Readonly<Record<string, string>>): Promise<number> {
  await settle()
  const used = () => getHeapStatistics().used_heap_size + process.memoryUsage().arrayBuffers
  const before = used()
  const closes: (() => void)[] = []
  for (let i = 0; i < CONNECTIONS; i++) closes.push(await open(path, headers))
  await settle()
  const bytes = (used() - before) / CONNECTIONS
  for (const close of closes) close()
  while (app.realtime.connections().length > 0) await turn()
  return bytes
}

const alive: Record<string, number> = {}
const closes: (() => void)[] = []
for (const path of ['/messages', '/raw', '/connection/websocket']) closes.push(await open(path, {}))
await settle()
for (const [kind, watched] of Object.entries(refs))
  alive[kind] = watched.filter((ref) => ref.deref() !== undefined).length
const watched = Object.fromEntries(Object.entries(refs).map(([kind, all]) => [kind, all.length]))
for (const close of closes) close()

const bytes: Record<string, Record<string, number>> = {}
for (const path of ['/messages', '/raw']) {
  await bytesPerConnection(path, {})
  bytes[path] = {}
  for (const [name, headers] of Object.entries(PADDING)) bytes[path][name] = await bytesPerConnection(path, headers)
}
process.stdout.write(`${JSON.stringify({ alive, watched, bytes })}\n`)
process.exit()
