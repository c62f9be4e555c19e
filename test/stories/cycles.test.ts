import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { connect as tcpConnect } from 'node:net'
import t from 'tap'
import { frame } from '../support/raw-frames.ts'

/*
 * Connections come and go, and leave nothing. `npm run soak` does it 100,000 times; the ordinary run as often as it
 * takes for a leak of a kilobyte each to show.
 */

const CYCLES = Number(process.env.CYCLES ?? 5_000)
const AT_ONCE = 20
const WARM_UP = 2_000

const HANDSHAKE = (room: number) =>
  `GET /rooms/${room} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
  'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n' +
  'Sec-WebSocket-Protocol: realtime.v1, bearer.token\r\n\r\n'
const MESSAGE = frame({ payload: '{"text":"a"}' })
const CLOSE = frame({ opcode: 8, payload: Buffer.from([3, 232]) })

/** One connection: it publishes to its room, hears itself, and leaves: by a close, an end or a reset. */
async function cycle(port: number, number: number): Promise<void> {
  const socket = tcpConnect({ port, host: '127.0.0.1' })
  const closed = once(socket, 'close')
  let step = 0
  socket.on('error', () => socket.destroy())
  socket.on('data', () => {
    if (step++ === 0) socket.write(MESSAGE)
    else if (number % 3 === 0) socket.write(CLOSE)
    else if (number % 3 === 1) socket.end()
    else socket.resetAndDestroy()
  })
  socket.write(HANDSHAKE(number % 500))
  await closed
}

async function cycles(port: number, count: number): Promise<void> {
  let left = count
  const worker = async () => {
    while (left-- > 0) await cycle(port, left)
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
}

async function figures(server: ChildProcess): Promise<Record<string, number>> {
  for (;;) {
    server.send('figures')
    const [answer] = (await once(server, 'message')) as [Record<string, number>]
    // The last few are still on their way out: resets are noticed, channels let go a second later.
    if (answer.connections === 0 && answer.channels === 0 && answer.sockets === 0) return answer
  }
}

t.test(`F114: ${CYCLES} connections leave nothing behind`, { timeout: 600_000 }, async (t) => {
  const server = fork(new URL('cycles-server.ts', import.meta.url), {
    execArgv: [...process.execArgv, '--expose-gc'],
    env: { ...process.env, NODE_V8_COVERAGE: '', NODE_OPTIONS: '' }
  })
  t.teardown(() => server.kill('SIGKILL'))
  const [{ port }] = (await once(server, 'message')) as [{ port: number }]
  await cycles(port, WARM_UP)
  const before = await figures(server)
  await cycles(port, CYCLES)
  const after = await figures(server)
  t.comment({ before, after })
  const { heap: heapBefore = 0, ...restBefore } = before
  const { heap: heapAfter = 0, ...restAfter } = after
  t.strictSame(restAfter, restBefore)
  // A leak of a kilobyte each would be a quarter. What V8 still compiles meanwhile is a twentieth.
  t.ok(heapAfter < heapBefore * 1.1, `heap ${heapBefore} → ${heapAfter}`)
})
