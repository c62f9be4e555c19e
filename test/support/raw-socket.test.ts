import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import t from 'tap'
import { plainApp } from '../testing/plain-app.ts'
import {
  closingFrame,
  destroyRawSockets,
  frame,
  opcodes,
  parseFrame,
  RawSocket,
  rawUpgrade,
  requestHead
} from './raw-socket.ts'

async function echoPort(t: Parameters<typeof plainApp>[0]): Promise<number> {
  const app = await plainApp(t)
  return Number(new URL(await app.listen({ host: '127.0.0.1', port: 0 })).port)
}

async function serverPort(t: { teardown(fn: () => unknown): void }, onSocket: (socket: Socket) => void) {
  const server = createServer(onSocket)
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as { port: number }
  t.teardown(() => {
    server.close()
    destroyRawSockets(port)
  })
  return port
}

t.test('an upgrade, frames and a close', async (t) => {
  const socket = await rawUpgrade(await echoPort(t), {
    path: '/ws',
    protocols: ['a', 'b'],
    trailing: frame({ payload: 'with the handshake' })
  })
  t.match(socket.response, {
    statusLine: 'HTTP/1.1 101 Switching Protocols',
    statusCode: 101,
    headers: { upgrade: 'websocket', 'sec-websocket-protocol': 'a' },
    body: ''
  })
  socket.send({ payload: 'frag', fin: false }, { opcode: opcodes.continuation, payload: 'ments' })
  socket.send({ opcode: opcodes.binary, payload: Buffer.alloc(70_000, 1) }, { opcode: opcodes.ping, payload: 'p' })
  t.match(await socket.nextFrame(), { fin: true, rsv: 0, opcode: 1, masked: false, text: 'with the handshake' })
  t.match(await socket.nextFrame(), { text: 'fragments' })
  t.equal((await socket.nextFrame()).payload.length, 70_000)
  t.match(await socket.nextFrame(), { opcode: opcodes.pong, text: 'p' })
  socket.send({ payload: 'skipped' })
  socket.write(closingFrame(4000, 'bye'))
  t.same(await socket.closeFrame(), { code: 4000, reason: 'bye' })
  t.same(await socket.ended(), { reset: false })
  await t.rejects(socket.nextFrame(), { message: 'The connection ended before a frame; unread: nothing' })
  socket.end()
})

t.test('a refusal, with the length of its body or up to the end', async (t) => {
  const port = await echoPort(t)
  const refused = await rawUpgrade(port, { path: '/refused' })
  t.match(refused.response, { statusCode: 401, body: '{"no":"entry"}', headers: { 'content-type': /json/ } })
  refused.destroy()
  const version = await rawUpgrade(port, { path: '/ws', version: 99 })
  t.match(version.response, { statusCode: 400, headers: { 'sec-websocket-version': '13, 8' } })
  version.destroy()

  const untilEnd = await serverPort(t, (socket) => socket.end('HTTP/1.1 400 Bad\r\nA: 1\r\na: 2\r\n\r\nto the end'))
  const { response } = await rawUpgrade(untilEnd)
  t.same(response, { statusLine: 'HTTP/1.1 400 Bad', statusCode: 400, headers: { a: '1, 2' }, body: 'to the end' })
})

t.test('request heads', (t) => {
  const head = requestHead({
    method: 'POST',
    path: '//ws',
    key: 'k',
    headers: { Upgrade: undefined, 'X-A': ['1', '2'] }
  })
  t.match(head, /^POST \/\/ws HTTP\/1\.1\r\n/)
  t.match(head, /\r\nSec-WebSocket-Key: k\r\n/)
  t.match(head, /\r\nX-A: 1\r\nX-A: 2\r\n\r\n$/)
  t.notMatch(head, /Upgrade: /)
  t.end()
})

t.test('frames as bytes', (t) => {
  t.same(frame({ payload: 'Hello', mask: false }), Buffer.from('810548656c6c6f', 'hex'))
  t.same(
    frame({ payload: 'Hello', mask: Buffer.from('37fa213d', 'hex') }),
    Buffer.from('818537fa213d7f9f4d5158', 'hex')
  )
  t.same(frame({ fin: false, rsv: 4, opcode: 3, mask: false }), Buffer.from('4300', 'hex'))
  t.same(
    frame({ announcedLength: 2n ** 63n, mask: false, payload: 'x' }),
    Buffer.from(`817f8000000000000000${Buffer.from('x').toString('hex')}`, 'hex')
  )
  t.same(frame({ lengthForm: 64, mask: false }), Buffer.from('817f0000000000000000', 'hex'))
  t.same(closingFrame(1000, 'a'), frame({ opcode: 8, payload: Buffer.from('03e861', 'hex') }))
  t.same(closingFrame(), frame({ opcode: 8 }))
  for (const length of [0, 125, 126, 65_535, 65_536]) {
    const bytes = frame({ payload: Buffer.alloc(length, 7) })
    for (const cut of [1, 3, bytes.length - 1]) t.equal(parseFrame(bytes.subarray(0, cut)), undefined)
    const parsed = parseFrame(Buffer.concat([bytes, Buffer.from('rest')]))
    t.match(parsed, { frame: { fin: true, masked: true, opcode: 1 }, rest: Buffer.from('rest') })
    t.ok(parsed?.frame.payload.equals(Buffer.alloc(length, 7)))
  }
  t.end()
})

t.test('a wait that nothing answers meets its deadline', async (t) => {
  const socket = await RawSocket.open(await echoPort(t), { timeout: 20 })
  socket.write('GET /ws HT')
  await t.rejects(socket.readResponse(), {
    message: 'Waited for the end of the response head for 20 ms; unread: nothing'
  })
  socket.destroy()
})

t.test('a server that cuts the connection', async (t) => {
  const port = await serverPort(t, (socket) => socket.once('data', () => socket.resetAndDestroy()))
  const socket = await RawSocket.open(port)
  socket.write('x')
  t.same(await socket.ended(), { reset: true })
  await t.rejects(rawUpgrade(port), { message: /^The connection ended before the end of the response head/ })
})

t.test('leaving with RST', async (t) => {
  let failed: Promise<unknown[]> | undefined
  const port = await serverPort(t, (socket) => {
    failed = once(socket.resume(), 'error')
    socket.write('hello')
  })
  const socket = await RawSocket.open(port)
  if (socket.unread.length === 0) await once(socket.net, 'data')
  t.equal(socket.unread.toString(), 'hello')
  socket.reset()
  t.match(await failed, [{ code: 'ECONNRESET' }])
})

t.test('no server', async (t) => {
  const server = createServer()
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  await t.rejects(RawSocket.open(port), { message: /ended before a TCP connection/, cause: { code: 'ECONNREFUSED' } })
})
