import { type AddressInfo, type Socket, connect as tcpConnect } from 'node:net'
import { Registry } from 'prom-client'
import t from 'tap'
import { testToken } from '../../lib/testing/index.ts'
import { atLeast, buildApp } from '../support/app.ts'
import { connect } from '../support/connect.ts'
import { frame } from '../support/raw-frames.ts'

/*
 * 20,000 mutated handshakes, frames and JSON texts from a fixed seed. Nothing is asked of a single answer but that
 * there is one, or an end: afterwards the process lives, an ordinary client works and everything is given back.
 */

const SEED = 6455
const HANDSHAKES = 5_000
const FRAMES = 5_000
const TEXTS = 10_000
const AT_ONCE = 50

/** Mulberry32. */
function makeRandom(seed: number) {
  let state = seed
  const next = () => {
    state = (state + 0x6d2b79f5) | 0
    let z = Math.imul(state ^ (state >>> 15), 1 | state)
    z = (z + Math.imul(z ^ (z >>> 7), 61 | z)) ^ z
    return ((z ^ (z >>> 14)) >>> 0) / 2 ** 32
  }
  const below = (limit: number) => Math.floor(next() * limit)
  return { below, pick: <T>(items: readonly T[]) => items[below(items.length)] as T }
}

const { below, pick } = makeRandom(SEED)

/** Changes some bytes, drops, doubles or inserts a piece. */
function mutate(bytes: Buffer): Buffer {
  let result = Buffer.from(bytes)
  for (let times = 1 + below(3); times > 0; times--) {
    const at = below(result.length + 1)
    const end = Math.min(result.length, at + below(20))
    const change = below(4)
    if (change === 0 && at < result.length) result[at] = below(256)
    else if (change === 1) result = Buffer.concat([result.subarray(0, at), result.subarray(end)])
    else if (change === 2) result = Buffer.concat([result.subarray(0, end), result.subarray(at)])
    else result = Buffer.concat([result.subarray(0, at), Buffer.from(pick(PIECES), 'latin1'), result.subarray(at)])
  }
  return result
}

const PIECES = ['\0', '\r\n', '\r\n\r\n', ': ', ',', '"', '\xff\xfe', '\ud800', '%00', '{"a":', '[[[[', '\\u', '9e999']

function handshake(protocols: string, extra = ''): Buffer {
  return Buffer.from(
    'GET /json HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
      'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n' +
      `Sec-WebSocket-Protocol: ${protocols}\r\n${extra}\r\n`
  )
}

/** Writes the bytes, half-closes, and waits until the connection is over. */
async function send(port: number, bytes: Buffer, after?: Buffer): Promise<void> {
  const socket: Socket = tcpConnect({ port, host: '127.0.0.1', allowHalfOpen: true })
  socket.on('error', () => socket.destroy())
  socket.on('end', () => socket.destroy())
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
  socket.write(bytes)
  const answered = new Promise<void>((resolve) => socket.on('data', () => resolve()))
  if (after !== undefined) {
    await Promise.race([answered, closed])
    socket.write(after)
  }
  socket.end()
  await closed
}

async function many(count: number, one: () => Promise<void>): Promise<void> {
  let left = count
  const worker = async () => {
    while (left-- > 0) await one()
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
}

t.test(
  'F115: after 20,000 mutated inputs everything is as before, and nothing was unhandled',
  { timeout: 110_000 },
  async (t) => {
    const metrics = new Registry()
    const { app, logs } = await buildApp(t, { metrics, limits: { messages: false, upgradeTimeout: 2_000 } })
    // A line for each of them would be most of the test's time.
    app.log.level = 'warn'
    const unhandled: unknown[] = []
    const onUnhandled = (error: unknown) => unhandled.push(error)
    for (const event of ['uncaughtExceptionMonitor', 'unhandledRejection']) process.on(event, onUnhandled)
    t.teardown(() => {
      for (const event of ['uncaughtExceptionMonitor', 'unhandledRejection']) process.off(event, onUnhandled)
    })
    app.ws('/json', async (socket) => {
      for await (const message of socket.messages()) socket.sendJson({ echo: message })
    })
    app.get('/raw', { websocket: true, config: { realtime: { auth: false } } }, (socket) => {
      socket.on('message', (data, binary) => socket.send(data, { binary }))
    })
    await app.listen({ port: 0, host: '127.0.0.1' })
    const { port } = app.server.address() as AddressInfo
    const token = testToken()

    const good = [
      handshake(`realtime.v1, bearer.${token}`),
      handshake(`bearer, ${token}, realtime.v1`, 'Origin: http://localhost\r\n'),
      handshake('realtime.v1', `Authorization: Bearer ${token}\r\nSec-WebSocket-Extensions: permessage-deflate\r\n`)
    ]
    await many(HANDSHAKES, () => send(port, mutate(pick(good))))

    const raw = Buffer.from(good[0]?.toString().replace('/json', '/raw') as string)
    const frames = [
      frame({ payload: '{"text":"a"}' }),
      frame({ opcode: 2, payload: Buffer.alloc(200) }),
      frame({ opcode: 9, payload: 'ping' }),
      frame({ fin: false, payload: 'a' }),
      frame({ opcode: 8, payload: Buffer.from([3, 232]) })
    ]
    await many(FRAMES, () =>
      send(port, pick([raw, good[0] as Buffer]), mutate(Buffer.concat([pick(frames), pick(frames)])))
    )

    const client = await connect(app, '/json', { token })
    const texts = ['{"text":"a","list":[1,2,{"b":null}]}', '[1,"\\u0041",true]', '"x"', '-1.5e3']
    for (let i = 0; i < TEXTS; i++) {
      // Through a string and back: the bytes of a text message must be UTF-8.
      client.sendRaw(mutate(Buffer.from(pick(texts))).toString())
      const answer = await client.next<Record<string, unknown>>()
      if (!('echo' in answer) && !('error' in answer)) t.fail(`answered with ${JSON.stringify(answer)}`)
    }
    await client.close()

    const ordinary = await connect(app, '/json', { token })
    ordinary.send({ text: 'still here' })
    t.strictSame(await ordinary.next(), { echo: { text: 'still here' } })
    await ordinary.close()
    await app.realtime.drain()
    t.strictSame(app.realtime.connections(), [])
    const { values } = (await metrics.getMetricsAsJSON()).find(({ name }) => name === 'realtime_connections') ?? {}
    t.strictSame(values, [])
    t.strictSame(atLeast(logs, 'error'), [])
    t.strictSame(unhandled, [])
  }
)
