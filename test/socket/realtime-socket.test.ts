import t from 'tap'
import { CLOSE } from '../../lib/protocol/close-codes.ts'
import type { RealtimeSocket } from '../../lib/socket/realtime-socket.ts'
import { closingFrame, frame, opcodes, rawUpgrade } from '../support/raw-socket.ts'
import { next, socketRig } from '../support/socket-rig.ts'

t.test('what it is, and what it has counted', async (t) => {
  const { accept, clock } = await socketRig(t)
  const { socket, client } = await accept()
  t.match(socket, { id: 'socket-1', user: { sub: 'ada' }, closed: false, maxSubscriptions: 128 })
  t.equal(socket.settings.route, '/')
  const messages = socket.messages()
  client.send('hello')
  t.same(await messages.next(), { value: 'hello', done: false })
  client.sendRaw('x')
  client.send(1)
  await messages.next()
  t.match(await client.next(), { error: { code: 'invalid_json' } })
  clock.advance(1_000)
  t.same(socket.stats, {
    messagesIn: 3,
    messagesOut: 1,
    bytesIn: 9,
    bytesOut: 77,
    dropped: 0,
    rejected: 1,
    queued: 0,
    age: 1_000
  })
})

t.test('subscriptions and publications are the channels’ affair', async (t) => {
  const { accept, eventsOf } = await socketRig(t)
  const { socket, client } = await accept()
  t.same(await socket.subscribe('room'), { recovered: false, offset: 4, epoch: 'e' })
  socket.unsubscribe('room')
  t.same(eventsOf('unsubscribe'), [['unsubscribe', 'room']])
  t.same(await socket.publish('room', 7), { offset: 7, epoch: 'e' })
  socket.insufficientState('room', { offset: 3, epoch: 'e' })
  t.match(await client.next(), { notice: { code: 'insufficient_state', channel: 'room', offset: 3 } })
})

t.test('messages sent before the handler looks are there when it does', async (t) => {
  const { port, sockets } = await socketRig(t)
  const connection = next<[RealtimeSocket]>(sockets, 'connection')
  const client = await rawUpgrade(await port(), { trailing: frame({ payload: '1' }) })
  const [socket] = await connection
  await new Promise(setImmediate)
  t.same(await socket.messages().next(), { value: 1, done: false })
  client.destroy()
})

t.test('one loop over the messages at a time', async (t) => {
  const { accept } = await socketRig(t)
  const { socket, client } = await accept()
  const messages = socket.messages()
  t.throws(() => socket.messages(), { code: 'FST_RT_MESSAGES_TAKEN' })
  await messages.return?.()
  client.send(2)
  for await (const message of socket.messages()) {
    t.equal(message, 2)
    break
  }
})

t.test('a plain route has no messages()', async (t) => {
  const { accept } = await socketRig(t, { kind: 'raw' })
  const { socket } = await accept()
  t.throws(() => socket.messages(), { code: 'FST_RT_MESSAGES_TAKEN' })
})

t.test('a route that reads by a listener is never paused, and answers for itself', async (t) => {
  const { accept } = await socketRig(t, { limits: { maxQueue: 2 } })
  const { socket, client } = await accept()
  const seen: string[] = []
  socket.on('message', (data) => seen.push(String(data)))
  for (let i = 0; i < 10; i++) client.sendRaw(`text ${i}`)
  await client.expectNothing()
  t.equal(seen.length, 10)
  t.equal(socket.stats.queued, 0)
  const messages = socket.messages()
  client.send('both')
  t.same(await messages.next(), { value: 'both', done: false })
  t.equal(seen.length, 11)
})

t.test('the loop ends with the connection, after what has arrived', async (t) => {
  const { accept } = await socketRig(t)
  const { socket, client } = await accept()
  client.send(1)
  client.send(2)
  await client.close(1000)
  const seen: unknown[] = []
  for await (const message of socket.messages()) seen.push(message)
  t.same(seen, [1, 2])
})

t.test('nothing is handed out that came after our close', async (t) => {
  const { accept, eventsOf } = await socketRig(t, { limits: { maxQueue: 2 } })
  const { socket, client } = await accept()
  client.raw.pause()
  for (let i = 0; i < 10; i++) client.send(i)
  socket.close(1000)
  const seen: unknown[] = []
  for await (const message of socket.messages()) seen.push(message)
  t.same(seen, [])
  client.raw.resume()
  t.match(await client.closed(), { code: 1000 })
  if (eventsOf('closed').length === 0) await next(socket, 'close')
  t.same(eventsOf('closed'), [['closed', 1000]], 'and the answer to it is read')
})

t.test('listeners that throw or reject end their connection, not the process', async (t) => {
  const faults = {
    throws: () => {
      throw new Error('thrown')
    },
    rejects: async () => {
      throw new Error('rejected')
    }
  }
  for (const [name, fault] of Object.entries(faults)) {
    const { accept, logs } = await socketRig(t, { kind: 'raw' })
    const { socket, client } = await accept()
    let others = 0
    socket.on('message', fault)
    socket.on('message', () => others++)
    socket.once('close', fault)
    client.send(1)
    t.match(await client.closed(), { code: 1011 }, name)
    await new Promise(setImmediate)
    t.equal(others, 1, 'the others are called all the same')
    t.match(logs, [
      ['error', { err: Error, connection: 'socket-1', event: 'message' }, 'socket listener failed'],
      ['error', { event: 'close' }, 'socket listener failed']
    ])
  }
})

t.test('a reason is cut to what fits', async (t) => {
  const { accept } = await socketRig(t)
  const { socket, client } = await accept()
  socket.close(4000, 'é'.repeat(100))
  t.same(await client.closed(), { code: 4000, reason: 'é'.repeat(61) })
})

t.test('closing twice, and from both sides', async (t) => {
  const { accept, eventsOf } = await socketRig(t)
  const { socket, client } = await accept()
  t.throws(() => socket.close(999), /valid error code/)
  t.notOk(socket.closed)
  socket.close(4000)
  socket.close(4001)
  client.raw.close(4002)
  t.match(await client.closed(), { code: 4000 })
  if (eventsOf('closed').length === 0) await next(socket, 'close')
  t.equal(eventsOf('closed').length, 1)
  t.same(eventsOf('streams closed').length, 1)
})

/** A listener that reads as @fastify/websocket's does. */
const guardOf = (errorHandler: (...args: unknown[]) => void) =>
  function (this: unknown, error: unknown, socket?: unknown, request?: unknown, reply?: unknown) {
    errorHandler.call(this, error, socket, request, reply)
  }

t.test('a peer’s faults: the code that it is answered with, and no error in the log', async (t) => {
  const cases: [fault: Buffer, code: number][] = [
    [frame({ mask: false, payload: 'x' }), 1002],
    [frame({ rsv: 4 }), 1002],
    [frame({ opcode: 3 }), 1002],
    [frame({ payload: Buffer.from([0xff]) }), 1007],
    [frame({ announcedLength: 2_000 }), 1009],
    [frame({ announcedLength: 2n ** 63n }), 1009],
    [Buffer.concat(Array.from({ length: 5 }, (_, i) => frame({ fin: false, opcode: i === 0 ? 1 : 0 }))), 1008]
  ]
  for (const [fault, code] of cases) {
    const limits = { maxPayload: 1_000, maxFragments: 3 }
    const { port, sockets, clock, eventsOf, logs } = await socketRig(t, { limits })
    const connection = next<[RealtimeSocket]>(sockets, 'connection')
    const client = await rawUpgrade(await port())
    const [socket] = await connection
    const errors: unknown[] = []
    socket.on('error', (error) => errors.push(error))
    socket.on(
      'error',
      guardOf(() => t.fail('@fastify/websocket’s own listener is left out'))
    )
    client.write(fault)
    t.equal((await client.closeFrame()).code, code)
    client.write(closingFrame(code))
    client.end()
    // It lingers until the peer has stopped sending.
    while (eventsOf('closed').length === 0) {
      clock.advance(50)
      await new Promise(setImmediate)
    }
    t.same(eventsOf('closed'), [['closed', code]])
    t.match(logs, [['info', { connection: 'socket-1', code: /^WS_ERR_/ }, 'WebSocket fault']])
    t.equal(errors.length, 1, 'the application’s listeners are called')
  }
})

t.test('a connection that is lost', async (t) => {
  const { accept, eventsOf } = await socketRig(t)
  const { socket, client } = await accept()
  const closed = next(socket, 'close')
  await client.terminate()
  await closed
  t.same(eventsOf('closed'), [['closed', 1006]])
})

t.test('a refused connection is nobody’s', async (t) => {
  const { accept, events, wheel } = await socketRig(t, { kind: 'refused' })
  const { socket, client } = await accept()
  socket.closeWith(CLOSE.unauthorized)
  t.match(await client.closed(), { code: 4401 })
  t.same(events, [])
  t.equal(wheel.size, 0)
})

t.test('pongs are answered in order, and half a connection is no connection', async (t) => {
  const { port, sockets } = await socketRig(t)
  const connection = next<[RealtimeSocket]>(sockets, 'connection')
  const client = await rawUpgrade(await port())
  const [socket] = await connection
  socket.sendJson(1)
  client.send({ opcode: opcodes.ping, payload: 'p' })
  t.match(await client.nextFrame(), { text: '1' })
  t.match(await client.nextFrame(), { opcode: opcodes.pong, text: 'p' })
  const closed = next(socket, 'close')
  client.end()
  await closed
  t.ok(socket.closed)
})
