import { fork } from 'node:child_process'
import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { testToken } from '../../lib/testing/index.ts'
import type { MemoryQuestion } from '../support/memory-server.ts'
import { type RawSocket, rawUpgrade } from '../support/raw-socket.ts'

/*
 * Case 146. A connection kept its request, the response, and the bytes that its handshake came in, with the token: as
 * much as the client chose to send.
 */

const program = fileURLToPath(new URL('../support/memory-server.ts', import.meta.url))
const typescript = new URL('../../scripts/typescript.js', import.meta.url).href
// So many that the 200 KB by which V8's own tables grow at times are less than 1 KB for each.
const CONNECTIONS = 250
const AT_ONCE = 10
// What one connection keeps shows in every round. What V8 allocates for itself does not, so more rounds tell them apart.
const MOST_ROUNDS = 10
// V8 then compiles nothing again while memory is measured.
const STEADY = ['--no-opt', '--no-sparkplug', '--no-maglev', '--no-flush-bytecode']
const PATHS = ['/messages', '/raw', '/connection/websocket'] as const
const HEADERS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  few: {},
  large: { 'X-Large': 'x'.repeat(14_000) },
  // Of 1,200, the server reads as many as it takes by default: 1,000.
  many: Object.fromEntries(Array.from({ length: 1_200 }, (_, i) => [`h${i}`, 'v']))
}

interface Bytes {
  heap: number
  buffers: number
}

async function startServer(t: { teardown(fn: () => unknown): void }) {
  const child = fork(program, { execArgv: [...STEADY, '--expose-gc', `--import=${typescript}`] })
  const exited = once(child, 'exit')
  t.teardown(async () => {
    child.disconnect()
    await exited
  })
  const answer = async () => (await once(child, 'message'))[0]
  const { port } = await answer()
  const ask = async <T>(question: MemoryQuestion): Promise<T> => {
    child.send(question)
    return answer()
  }
  const open = async (path: string, headers: Readonly<Record<string, string>>, sub = 'ada') => {
    const token = testToken({ sub })
    const protocols = ['realtime.v1', `bearer.${token}`]
    const socket = await rawUpgrade(port, { path, headers, protocols })
    if (socket.response.statusCode !== 101) throw new Error(socket.response.statusLine)
    return { socket, token }
  }
  // @fastify/jwt reuses the holders of its verifications, which keep the last two requests of the process. Others take
  // their place here, so that it is the connections that are looked at.
  const forget = async () => {
    for (let i = 0; i < 3; i++) {
      const { socket } = await open('/other', {}, 'another')
      socket.destroy()
    }
  }
  return { ask, open, forget }
}

async function isIn(file: string, text: string): Promise<boolean> {
  let tail = ''
  for await (const chunk of createReadStream(file, 'latin1')) {
    const window = tail + chunk
    if (window.includes(text)) return true
    tail = window.slice(-text.length)
  }
  return false
}

/** The lower quartile: what V8's own tables grow by is no connection's. */
function typical(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 2] as number
}

t.test('case 146: a connection costs the same whatever its handshake brought', async (t) => {
  const { ask, open, forget } = await startServer(t)
  const measure = (connections: number) => ask<Bytes>({ ask: 'measure', connections })
  const batch = async (path: string, headers: Readonly<Record<string, string>>): Promise<Bytes> => {
    const before = await measure(0)
    const sockets: RawSocket[] = []
    while (sockets.length < CONNECTIONS) {
      const opened = await Promise.all(Array.from({ length: AT_ONCE }, () => open(path, headers)))
      sockets.push(...opened.map(({ socket }) => socket))
    }
    await forget()
    const after = await measure(CONNECTIONS)
    for (const socket of sockets) socket.destroy()
    const each = (key: keyof Bytes) => (after[key] - before[key]) / CONNECTIONS
    return { heap: each('heap'), buffers: each('buffers') }
  }
  for (const path of PATHS) {
    const costs: Record<string, Bytes[]> = { few: [], large: [], many: [] }
    // The hooks of channels get the request, so a channel connection keeps it; but not the bytes that it came in.
    const keys: (keyof Bytes)[] = path === '/connection/websocket' ? ['buffers'] : ['heap', 'buffers']
    const cost = (name: string, key: keyof Bytes) => typical(costs[name]?.map((bytes) => bytes[key]) ?? [])
    const differences = () =>
      ['large', 'many'].flatMap((name) => {
        const differing = keys.filter((key) => Math.abs(cost(name, key) - cost('few', key)) >= 1_024)
        return differing.map((key) => `${key}, ${name}: ${cost(name, key)} to ${cost('few', key)} bytes`)
      })
    for (let round = 1; round <= MOST_ROUNDS; round++) {
      for (const [name, headers] of Object.entries(HEADERS)) {
        // Each batch comes after the same one: what one leaves behind until the next is nobody's cost.
        await batch(path, {})
        costs[name]?.push(await batch(path, headers))
      }
      if (differences().length === 0) break
    }
    t.same(differences(), [], path)
  }
})

t.test('case 146: a connection keeps neither its token nor anything that Node made for its handshake', async (t) => {
  const { ask, open, forget } = await startServer(t)
  const tokens: Record<string, string> = {}
  const sockets: RawSocket[] = []
  const control = `kept-${'k'.repeat(20)}`
  for (const path of PATHS) {
    const { socket, token } = await open(path, { 'X-Large': 'x'.repeat(2_000) }, `user of ${path}`)
    sockets.push(socket)
    tokens[path] = token.slice(token.lastIndexOf('.') + 1)
  }
  sockets.push((await open('/keeps', { 'X-Control': control })).socket)
  await forget()

  const alive = await ask<Record<string, [number, number]>>({ ask: 'alive' })
  for (const path of PATHS) {
    const keepsRequest = path === '/connection/websocket' ? 1 : 0
    for (const [object, count] of Object.entries({ request: keepsRequest, 'raw request': keepsRequest, reply: 0 })) {
      t.same(alive[`${path} ${object}`], [1, count], `${path}: ${object}`)
    }
    t.same(alive[`${path} response`], [1, 0], `${path}: response`)
  }
  const file = join(t.testdir(), 'all.heapsnapshot')
  await ask({ ask: 'snapshot', file })
  t.ok(await isIn(file, control), 'a header that a handler keeps is in the snapshot')
  for (const [path, signature] of Object.entries(tokens)) t.notOk(await isIn(file, signature), `${path}: no token`)
  for (const socket of sockets) socket.destroy()
})
