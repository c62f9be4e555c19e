import { once } from 'node:events'
import websocket from '@fastify/websocket'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { WebSocket } from 'ws'
import { testToken } from '../../lib/testing/index.ts'
import { atLeast, buildApp } from '../support/app.ts'
import { cpuTime } from '../support/cpu-time.ts'
import { closingFrame, type FrameSpec, frame, opcodes, type RawSocket } from '../support/raw-socket.ts'
import { goodToken, Stage } from '../support/stage.ts'
import { TcpProxy } from '../support/tcp-proxy.ts'

/* Frames that break RFC 6455, or this server's bounds. The numbers are those of the list of cases. */

const payload = JSON.stringify({ text: 'hello' })
const { continuation, binary, close, ping, pong } = opcodes
const badUtf8 = Uint8Array.of(0x22, 0xc3, 0x28, 0x22)

async function opened(t: Test, stage: Stage): Promise<RawSocket> {
  const socket = await stage.upgrade()
  t.equal(socket.response.statusCode, 101)
  return socket
}

t.test('frames against the protocol', async (t) => {
  const stage = await Stage.open(t)
  const faults: Record<string, [code: number, frames: FrameSpec[] | Buffer]> = {
    'A18: a frame without a mask': [1002, [{ payload, mask: false }]],
    'A19: RSV1 without an extension': [1002, [{ payload, rsv: 4 }]],
    'A19: RSV2': [1002, [{ payload, rsv: 2 }]],
    'A19: RSV3': [1002, [{ payload, rsv: 1 }]],
    'A21: a ping in fragments': [1002, [{ opcode: ping, fin: false, payload: 'a' }]],
    'A21: a ping of 126 bytes': [1002, [{ opcode: ping, payload: 'a'.repeat(126) }]],
    'A22: a continuation of nothing': [1002, [{ opcode: continuation, payload }]],
    'A22: a text within the fragments of another': [1002, [{ fin: false, payload: '"a' }, { payload }]],
    'A23: text that is not UTF-8': [1007, [{ payload: badUtf8 }]],
    'A23: text whose bytes are not UTF-8 only as a whole': [
      1007,
      [
        { fin: false, payload: badUtf8.subarray(0, 2) },
        { opcode: continuation, payload: badUtf8.subarray(2) }
      ]
    ],
    'A23: a close reason that is not UTF-8': [
      1007,
      [{ opcode: close, payload: Uint8Array.of(0x03, 0xe8, 0xc3, 0x28) }]
    ],
    'A24: a close payload of one byte': [1002, [{ opcode: close, payload: 'a' }]]
  }
  for (const opcode of [3, 4, 5, 6, 7, 11, 12, 13, 14, 15])
    faults[`A20: opcode ${opcode}`] = [1002, [{ opcode, payload }]]
  for (const code of [999, 1004, 1005, 1006, 1015, 5000]) faults[`A24: close code ${code}`] = [1002, closingFrame(code)]

  for (const [name, [code, frames]] of Object.entries(faults)) {
    t.test(`${name} is closed with ${code}`, async (t) => {
      const socket = await opened(t, stage)
      if (Buffer.isBuffer(frames)) socket.write(frames)
      else socket.send(...frames)
      const closed = await socket.closeFrame()
      t.equal(closed.code, code)
      await socket.ended()
      socket.destroy()
      t.same(atLeast(stage.logs, 'warn'), [], 'a fault of the client is no warning')
      await stage.after(t, { places: [closed] })
    })
  }

  t.test('A23: a character split over two fragments is good text', async (t) => {
    const socket = await opened(t, stage)
    const bytes = Buffer.from('"ü"')
    socket.send({ fin: false, payload: bytes.subarray(0, 2) }, { opcode: continuation, payload: bytes.subarray(2) })
    t.same(JSON.parse((await socket.nextFrame()).text), { echo: 'ü' })
    socket.destroy()
    await stage.after(t)
  })

  t.test('A28: a binary message is answered, and the connection goes on', async (t) => {
    const socket = await opened(t, stage)
    socket.send({ opcode: binary, payload }, { payload })
    t.match(JSON.parse((await socket.nextFrame()).text), { error: { code: 'unsupported_data' } })
    t.same(JSON.parse((await socket.nextFrame()).text), { echo: { text: 'hello' } })
    socket.destroy()
    await stage.after(t)
  })

  t.test('A31: a client that closes and keeps its connection is cut', async (t) => {
    const socket = await opened(t, stage)
    socket.write(closingFrame(1000))
    t.equal((await socket.closeFrame()).code, 1000)
    // In 2 s, where ws would wait 30: no more patience than in quiet() is needed.
    await stage.quiet()
    socket.destroy()
    await stage.after(t)
  })

  t.test('A34: data after the close frame is ignored', async (t) => {
    const socket = await opened(t, stage)
    socket.write(Buffer.concat([closingFrame(4000, 'bye'), frame({ payload }), frame({ opcode: ping })]))
    const answer = await socket.nextFrame()
    t.equal(answer.opcode, close)
    await socket.ended()
    t.equal(socket.unread.length, 0)
    socket.destroy()
    await stage.after(t)
  })
})

t.test('bounds', async (t) => {
  const maxPayload = 1_000
  const stage = await Stage.open(t, { limits: { maxPayload } })
  const long = 'x'.repeat(maxPayload + 1)
  const tooLarge: Record<string, FrameSpec[]> = {
    'in one frame': [{ payload: long }],
    'in three frames': [
      { fin: false, payload: long.slice(0, 400) },
      { fin: false, opcode: continuation, payload: long.slice(0, 400) },
      { opcode: continuation, payload: long.slice(0, 201) }
    ],
    'announced as 2^63 bytes': [{ payload: 'x', announcedLength: 2n ** 63n }],
    'announced as 2^40 bytes': [{ payload: 'x', announcedLength: 2n ** 40n }]
  }
  for (const [how, frames] of Object.entries(tooLarge)) {
    t.test(`A25: too much ${how} is closed with 1009`, async (t) => {
      const socket = await opened(t, stage)
      socket.send(...frames)
      t.equal((await socket.closeFrame()).code, 1009)
      await socket.ended()
      socket.destroy()
      await stage.after(t)
      t.match(await stage.registry.metrics(), /realtime_closes_total\{code="1009"\}/)
    })
  }

  t.test('A25: the most that is allowed passes', async (t) => {
    const socket = await opened(t, stage)
    const most = JSON.stringify('x'.repeat(maxPayload - 2))
    socket.send({ payload: most })
    t.equal((await socket.nextFrame()).text.length, most.length + '{"echo":}'.length)
    socket.destroy()
    await stage.after(t)
  })

  t.test('A25: the client reads 1009 through a proxy every time', async (t) => {
    const proxy = await TcpProxy.start(t, stage.port)
    const codes = []
    for (let i = 0; i < 50; i++) {
      const client = new WebSocket(`ws://127.0.0.1:${proxy.port}/ws`, ['realtime.v1', `bearer.${goodToken}`])
      await once(client, 'open')
      // More than fits the proxy's and the server's buffers: some of it is still under way when the server answers.
      client.send('x'.repeat(100 * maxPayload))
      client.on('error', () => undefined)
      const [code] = await once(client, 'close')
      codes.push(code)
      await stage.quiet()
    }
    t.same([...new Set(codes)], [1009])
    await stage.after(t)
  })

  t.test('A27: 20,000 empty fragments are closed with 1008 soon, and hold no memory', async (t) => {
    const socket = await opened(t, stage)
    const memory = process.memoryUsage.rss()
    const first = frame({ fin: false })
    const next = frame({ fin: false, opcode: continuation })
    const bytes = Buffer.concat([first, ...Array.from({ length: 20_000 }, () => next)])
    const taken = await cpuTime(async () => {
      socket.write(bytes)
      t.equal((await socket.closeFrame()).code, 1008)
    })
    t.ok(taken < 500, `soon: ${taken} ms`)
    t.ok(process.memoryUsage.rss() - memory < 20 * 2 ** 20, 'no memory')
    socket.destroy()
    await stage.after(t)
  })
})

t.test('A26: a deflate bomb is closed with 1009', async (t) => {
  // Compression is off, unless the application registered @fastify/websocket with it.
  const before = (app: FastifyInstance) => app.register(websocket, { options: { perMessageDeflate: true } })
  const { app } = await buildApp(t, { auth: false, limits: { maxPayload: 50_000 } }, { before })
  app.ws('/ws', {}, async (socket) => {
    for await (const message of socket.messages()) socket.sendJson(String(message).length)
  })
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as { port: number }
  const client = new WebSocket(`ws://127.0.0.1:${port}/ws`, { perMessageDeflate: { threshold: 0 } })
  await once(client, 'open')
  t.match(client.extensions, /permessage-deflate/)
  client.send(JSON.stringify('x'.repeat(40_000)))
  t.equal(String((await once(client, 'message'))[0]), '40000')
  const bomb = Buffer.alloc(90 * 2 ** 20, 'x')
  const memory = process.memoryUsage.rss()
  client.on('error', () => undefined)
  client.send(bomb)
  t.equal((await once(client, 'close'))[0], 1009)
  const grown = process.memoryUsage.rss() - memory
  t.ok(grown < 60 * 2 ** 20, `${grown} bytes for a bomb of ${bomb.length}`)
})

t.test('pings, pongs and closing', async (t) => {
  const heartbeat = { interval: 150, timeout: 300 }
  let counted = { close: 0 }
  const stage = await Stage.open(t, { heartbeat }, {}, (app) => {
    app.ws('/close', {}, async (socket) => {
      socket.on('close', () => counted.close++)
      socket.close(4000, 'first')
      socket.close(4001, 'second')
      for await (const _ of socket.messages());
    })
    app.get('/close-raw', { websocket: true }, (socket) => {
      socket.on('close', () => counted.close++)
      socket.close(4000)
      socket.close(4001)
    })
  })

  t.test('A29: a flood of pings from a client that does not read the pongs is cut off', async (t) => {
    const socket = await opened(t, stage)
    socket.net.pause()
    const burst = Buffer.concat(Array.from({ length: 1_000 }, () => frame({ opcode: ping, payload: 'x'.repeat(125) })))
    for (let i = 0; i < 10; i++) socket.write(burst)
    const deaf = () => stage.app.realtime.connections().find(({ user }) => user === 'ada')
    let most = 0
    for (let open = deaf(); open !== undefined; open = deaf()) {
      most = Math.max(most, open.bufferedAmount)
      await new Promise(setImmediate)
    }
    t.ok(most < 2 ** 20, `${most} bytes waited for the client`)
    socket.destroy()
    await stage.after(t)
  })

  t.test('A30: pongs that answer nothing keep nobody alive', async (t) => {
    const socket = await opened(t, stage)
    let pings = 0
    const answer = async () => {
      for (;;) {
        const { opcode } = await socket.nextFrame()
        if (opcode !== ping) continue
        pings++
        socket.send({ opcode: pong, payload: 'not yours' })
      }
    }
    await t.rejects(answer(), { message: /^The connection ended before/ })
    t.ok(pings >= 1)
    socket.destroy()
    await stage.after(t)
    t.match(await stage.registry.metrics(), /realtime_heartbeat_timeouts_total [1-9]/)
  })

  for (const path of ['/close', '/close-raw']) {
    t.test(`A32, A33: closed twice by the server at ${path}, unanswered: gone in time, one close event`, async (t) => {
      counted = { close: 0 }
      const socket = await stage.upgrade({ path })
      t.equal(socket.response.statusCode, 101)
      t.same((await socket.closeFrame()).code, 4000)
      // In 2 s, where ws would wait 30: no more patience than in quiet() is needed.
      await stage.quiet()
      t.equal(counted.close, 1)
      socket.destroy()
      await stage.after(t)
    })
  }

  t.test('A33: both sides close at once: one close event', async (t) => {
    counted = { close: 0 }
    const socket = await stage.upgrade({ path: '/close-raw', trailing: closingFrame(1000) })
    t.equal((await socket.closeFrame()).code, 4000)
    socket.end()
    await stage.quiet()
    t.equal(counted.close, 1)
    socket.destroy()
    await stage.after(t, { token: testToken({ sub: 'nobody' }) })
  })
})
