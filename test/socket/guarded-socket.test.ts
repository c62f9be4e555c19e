import t from 'tap'
import { GuardedSocket } from '../../lib/socket/guarded-socket.ts'

class Socket extends GuardedSocket {
  readonly failures: [event: string | symbol, error: unknown][] = []

  constructor() {
    super(null, undefined, {})
  }

  override listenerFailed(event: string | symbol, error: unknown): void {
    this.failures.push([event, error])
  }
}

t.test('every listener is called, whatever one of them throws or rejects with', async (t) => {
  const socket = new Socket()
  const [thrown, rejected] = [new Error('thrown'), new Error('rejected')]
  const heard: unknown[] = []
  socket.on('message', () => {
    throw thrown
  })
  socket.on('message', async () => {
    throw rejected
  })
  socket.once('message', function (this: unknown, ...args) {
    heard.push(this === socket, ...args)
  })
  t.ok(socket.callListeners('message', ['data', false]))
  await new Promise(setImmediate)
  t.same(heard, [true, 'data', false])
  t.same(socket.failures, [
    ['message', thrown],
    ['message', rejected]
  ])
  socket.callListeners('message', [])
  t.equal(heard.length, 3, 'once is once')
})

t.test('without a listener it says so, and other functions can be called in their place', async (t) => {
  const socket = new Socket()
  t.notOk(socket.callListeners('message', []))
  let sent = 0
  t.ok(socket.callListeners('send', [], [() => sent++]))
  t.equal(sent, 1)
})

t.test('of the listeners for errors, the one that @fastify/websocket adds to each route is left out', async (t) => {
  const socket = new Socket()
  // Known by its source, in which this stands.
  const guard = Object.assign(() => undefined, {
    toString: () => 'function (error) { errorHandler.call(this, error, socket, request, reply) }'
  })
  const own = () => undefined
  socket.on('error', guard)
  socket.on('error', own)
  socket.on('close', guard)
  t.same(socket.listenersFor('error'), [own])
  t.same(socket.listenersFor('close'), [guard])
})
