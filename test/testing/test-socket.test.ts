import t from 'tap'
import type { WebSocket } from 'ws'
import {
  ConnectionClosedError,
  connect,
  DeadlineError,
  NotOpenError,
  type TestSocket
} from '../../lib/testing/index.ts'
import { echo, plainApp } from './plain-app.ts'

t.test('messages: JSON, text, binary', async (t) => {
  const socket = await connect(await plainApp(t), '/ws')
  socket.send({ a: [1, null] })
  socket.sendRaw('not json')
  socket.sendRaw(Buffer.from('{"a":1}'))
  socket.sendRaw(' 1')
  t.same(await socket.next(), { a: [1, null] })
  t.equal(await socket.next(), 'not json')
  t.same(await socket.next(), Buffer.from('{"a":1}'))
  t.same(await socket.nextRaw(), { data: Buffer.from(' 1'), isBinary: false })
})

t.test('waits that are made before the messages get them in order', async (t) => {
  const socket = await connect(await plainApp(t), '/ws')
  const waits = [socket.next(), socket.next()]
  socket.send(1)
  socket.send(2)
  t.same(await Promise.all(waits), [1, 2])
})

t.test('a wait that nothing answers meets its deadline, and swallows no later message', async (t) => {
  const socket = await connect(await plainApp(t), '/ws', { timeout: 1_000 })
  await t.rejects(socket.next(), new DeadlineError('a message', 1_000))
  await t.rejects(socket.closed({ timeout: 1 }), new DeadlineError('the connection to close', 1))
  socket.send('late')
  t.equal(await socket.next({ timeout: 5_000 }), 'late')
})

t.test('a wait ends with the connection, and says how it closed', async (t) => {
  const app = await plainApp(t, (socket) => socket.on('message', () => socket.close(4001, 'token expired')))
  const socket = await connect(app, '/ws')
  const waits = [socket.next(), socket.next(), socket.expectNothing()].map((wait) => wait.catch((error) => error))
  socket.send('go')
  const [first, second, third] = await Promise.all(waits)
  t.ok(first instanceof ConnectionClosedError)
  t.match(first, {
    code: 'FST_RT_TEST_CLOSED',
    closeCode: 4001,
    reason: 'token expired',
    message: 'Waited for a message, but the connection closed with 4001 "token expired"'
  })
  t.match(second, { closeCode: 4001 })
  t.match(third, { closeCode: 4001, message: /Waited for a pong/ })
})

t.test('a close without a reason, and what the client made of a faulty server', async (t) => {
  const app = await plainApp(t, (_socket) => undefined)
  app.get('/faulty', { websocket: true }, (_socket, request) => {
    // RSV1 without an extension.
    request.raw.socket.write(Buffer.from([0xc1, 0x00]))
  })
  const socket = await connect(app, '/faulty')
  await t.rejects(socket.next(), {
    message: 'Waited for a message, but the connection closed with 1006 (no reason given)',
    cause: { code: 'WS_ERR_UNEXPECTED_RSV_1' }
  })
})

t.test('expectNothing', async (t) => {
  t.test('passes while nothing waits, again and again', async (t) => {
    const socket = await connect(await plainApp(t), '/ws')
    await socket.expectNothing()
    socket.send(1)
    t.equal(await socket.next(), 1)
    await socket.expectNothing()
  })

  t.test('finds what the server sends at the end of its turn', async (t) => {
    const app = await plainApp(t, (socket) => {
      socket.on('message', () => setImmediate(() => setImmediate(() => socket.send('x'.repeat(300)))))
    })
    const socket = await connect(app, '/ws')
    socket.send('go')
    const error = await socket.expectNothing().catch((error: unknown) => error)
    t.match(error, { code: 'FST_RT_TEST_UNEXPECTED_MESSAGE', message: /but 1 waited; the first: x{200}…$/ })
  })

  t.test('describes bytes by their number', async (t) => {
    const app = await plainApp(t, (socket) => socket.send(Buffer.alloc(12)))
    const socket = await connect(app, '/ws')
    await t.rejects(socket.expectNothing(), { message: 'Expected no message, but 1 waited; the first: 12 bytes' })
  })

  t.test('does not take a pong of another for its own, and meets its deadline', async (t) => {
    const server = await deaf(t)
    server.socket.pong('unsolicited')
    await t.rejects(server.client.expectNothing({ timeout: 20 }), new DeadlineError('a pong', 20))
  })

  t.test('rejects on a closed connection', async (t) => {
    const socket = await connect(await plainApp(t), '/ws')
    await socket.close(1000)
    await t.rejects(socket.expectNothing(), { code: 'FST_RT_TEST_CLOSED', closeCode: 1000 })
  })
})

t.test('iteration', async (t) => {
  const countdown = (socket: WebSocket) => {
    for (const count of [3, 2, 1]) socket.send(JSON.stringify(count))
    socket.on('message', () => socket.close(1000))
  }

  t.test('ends with the connection', async (t) => {
    const socket = await connect(await plainApp(t, countdown), '/ws')
    const seen: unknown[] = []
    for await (const message of socket) {
      seen.push(message)
      if (message === 1) socket.send('done')
    }
    t.same(seen, [3, 2, 1])
    t.match(await socket.closed(), { code: 1000 })
  })

  t.test('leaves the connection open when the loop is left', async (t) => {
    const socket = await connect(await plainApp(t, countdown), '/ws')
    for await (const message of socket) if (message === 3) break
    t.equal(await socket.next(), 2)
  })

  t.test('meets its deadline', async (t) => {
    const socket = await connect(await plainApp(t), '/ws', { timeout: 1_000 })
    await t.rejects(async () => {
      for await (const message of socket) t.fail(`unexpected ${message}`)
    }, new DeadlineError('a message', 1_000))
  })
})

t.test('sending on a connection that is not open throws', async (t) => {
  const socket = await connect(await plainApp(t), '/ws')
  await socket.close()
  t.throws(() => socket.send(1), new NotOpenError())
  t.match(await socket.close(), { code: 1005 })
})

t.test('close() ends when the server does not answer', async (t) => {
  const { client } = await deaf(t)
  t.match(await client.close(), { code: 1006 })
})

t.test('the ws client is at hand', async (t) => {
  const socket = await connect(await plainApp(t, echo), '/ws')
  socket.raw.send('one ', { fin: false })
  socket.raw.send('message', { fin: true })
  t.equal(await socket.next(), 'one message')
})

/** A connection whose server does not read. It is cut before the app closes, since it would not see the client leave. */
async function deaf(t: Parameters<typeof plainApp>[0]): Promise<{ client: TestSocket; socket: WebSocket }> {
  const sockets: WebSocket[] = []
  const app = await plainApp(t, (socket) => {
    socket.pause()
    sockets.push(socket)
  })
  // For the handshake, too, which a busy machine takes its time for.
  const client = await connect(app, '/ws', { timeout: 3_000 })
  t.teardown(() => sockets[0]?.terminate())
  return { client, socket: sockets[0] as WebSocket }
}
