import t from 'tap'
import type { RealtimeSocket } from '../../lib/socket/realtime-socket.ts'
import { opcodes, rawUpgrade } from '../support/raw-socket.ts'
import { next, socketRig } from '../support/socket-rig.ts'

/* The signal, the connection's turn in a drain, and the end of the handler. */

t.test('the signal aborts when the socket closes', async (t) => {
  const { accept, eventsOf } = await socketRig(t)
  const { socket, client } = await accept()
  const { signal } = socket
  t.equal(socket.signal, signal)
  t.notOk(signal.aborted)
  const aborted = new Promise((resolve) => signal.addEventListener('abort', resolve))
  await client.close()
  await aborted
  const late = await accept()
  await late.client.terminate()
  while (eventsOf('closed').length < 2) await new Promise(setImmediate)
  t.ok(late.socket.signal.aborted, 'asked for only afterwards, it is aborted already')
})

t.test('draining: the client is warned, the signal aborts, the loop ends', async (t) => {
  const { accept } = await socketRig(t)
  const { socket, client } = await accept()
  const { signal } = socket
  const messages = socket.messages()
  const pending = messages.next()
  socket.handled = Promise.resolve()
  t.equal(socket.warnOfDrain(250), true)
  t.same(await client.next(), { notice: { code: 'draining', reconnectAfter: 250 } })
  t.notOk(signal.aborted, 'the connection goes on until its turn comes')
  t.match(socket.drain(), { handled: socket.handled, busy: false })
  t.ok(signal.aborted)
  t.match(await pending, { done: true })
  socket.finish()
  t.match(await client.closed(), { code: 1012 })
})

t.test('draining: what the client had sent before its turn came is still handed out', async (t) => {
  const { port, sockets } = await socketRig(t)
  const connection = next<[RealtimeSocket]>(sockets, 'connection')
  const client = await rawUpgrade(await port())
  const [socket] = await connection
  const messages = socket.messages()
  const first = messages.next()
  socket.drain()
  const { opcode, payload } = await client.nextFrame()
  t.equal(opcode, opcodes.ping)
  client.send({ payload: '1' }, { opcode: opcodes.pong, payload: 'another' }, { payload: '2' })
  t.match(await first, { value: 1 })
  t.match(await messages.next(), { value: 2 })
  const last = messages.next()
  client.send({ opcode: opcodes.pong, payload }, { payload: '3' })
  t.match(await last, { done: true })
})

t.test('draining: a client that does not answer the ping is waited for no longer than a second', async (t) => {
  const { port, sockets, clock } = await socketRig(t)
  const connection = next<[RealtimeSocket]>(sockets, 'connection')
  await rawUpgrade(await port())
  const [socket] = await connection
  let isOver = false
  const last = socket
    .messages()
    .next()
    .then(() => {
      isOver = true
    })
  socket.drain()
  clock.advance(950)
  await new Promise(setImmediate)
  t.equal(isOver, false)
  clock.advance(100)
  await last
})

t.test('draining: a handler in the middle of a message is busy; plain routes get no notice', async (t) => {
  const { accept } = await socketRig(t)
  const { socket, client } = await accept()
  client.send(1)
  await socket.messages().next()
  t.match(socket.drain(), { busy: true })

  const plain = await socketRig(t, { kind: 'raw' })
  const { socket: plainSocket, client: plainClient } = await plain.accept()
  t.equal(plainSocket.warnOfDrain(0), false)
  t.same(plainSocket.drain(), { handled: undefined, busy: false })
  await plainClient.expectNothing()
})

t.test('a handler that returns has done with its connection', async (t) => {
  const { accept, eventsOf } = await socketRig(t)
  const { socket, client } = await accept()
  socket.finish()
  t.same(await client.closed(), { code: 1000, reason: 'done' })
  if (eventsOf('closed').length === 0) await next(socket, 'close')
  t.same(eventsOf('closed'), [['closed', 1000]])
})

t.test('draining waits for the requests that have been begun, also if the handler has returned', async (t) => {
  const { accept } = await socketRig(t)
  const { socket, client } = await accept()
  let finish: (value: unknown) => void = () => undefined
  const respond = () =>
    new Promise((resolve) => {
      finish = resolve
    })
  socket.begin({ respond, requests: false, queued: false }, undefined)
  const last = socket.messages().next()
  client.send({ id: 1, request: 'slow' })
  client.send('plain')
  await last
  socket.handled = Promise.resolve()
  const { handled, busy } = socket.drain()
  t.ok(busy)
  socket.finish()
  t.equal(socket.readyState, 1, 'it is still open')
  finish('done')
  await handled
  t.same(await client.next(), { id: 1, reply: 'done' })
  t.match(await client.closed(), { code: 1012 })
})
