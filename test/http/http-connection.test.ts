import { PassThrough } from 'node:stream'
import t from 'tap'
import type { ConnectionSession } from '../../lib/connection/connection.ts'
import { Turn } from '../../lib/connection/turn.ts'
import { HttpConnection } from '../../lib/http/http-connection.ts'
import { HttpSessions } from '../../lib/http/http-sessions.ts'
import { DEFAULTS } from '../../lib/options/options.ts'
import { CLOSE } from '../../lib/protocol/close-codes.ts'
import { jsonOverLines } from '../../lib/session/encodings/client-format.ts'
import { TimerWheel } from '../../lib/timing/timer-wheel.ts'
import { FakeClock } from '../support/clock.ts'
import { FakeConnection } from '../support/fake-connection.ts'

/* The contract suites are test/stories/transports.test.ts and test/routes/http-endpoints.test.ts. */

function make(limits: object = {}) {
  const clock = new FakeClock(0)
  const events: unknown[] = []
  const note =
    (name: string) =>
    (_connection?: unknown, ...rest: unknown[]) =>
      void events.push([name, ...rest])
  const observer = {
    opened: note('opened'),
    identified: note('identified'),
    closed: note('closed'),
    received: (bytes: number) => void events.push(['received', bytes]),
    rejected: (reason: string) => void events.push(['rejected', reason]),
    roundTrip: note('roundTrip'),
    heartbeatTimeout: note('heartbeatTimeout')
  }
  const { settings } = new FakeConnection({ limits: { ...DEFAULTS.limits, ...limits } as never })
  const stream = new PassThrough()
  const texts: string[] = []
  stream.on('data', (chunk: Buffer) => void texts.push(chunk.toString()))
  const sessions = new HttpSessions()
  const context = { wheel: new TimerWheel(clock, 50), turn: new Turn(), random: () => 0.5, observer, userRate: () => 0 }
  const connection = new HttpConnection({ settings, stream, format: jsonOverLines, context, sessions, node: 'n1' })
  const received: string[] = []
  const session = {
    receive: (data: Buffer) => void received.push(data.toString()),
    ping: () => false,
    ended: note('ended'),
    caughtUp: note('caughtUp'),
    drain: () => undefined
  } as unknown as ConnectionSession
  connection.session = session
  connection.open()
  const letter = (text: string) => ({ data: Buffer.from(text), isBinary: false })
  return { clock, connection, context, events, letter, received, sessions, stream, texts }
}

t.test('commands wait while the session takes none', async (t) => {
  const { connection, received, letter, sessions } = make({ maxQueue: 1 })
  const deliver = (text: string) => sessions.deliver(connection.emulation.session, letter(text))
  connection.resumeReading()
  t.equal(deliver('a'), 'delivered')
  connection.pauseReading()
  t.same([deliver('b'), deliver('c')], ['delivered', 'full'])
  t.equal(connection.stats.queued, 1)
  t.same(received, ['a'])
  connection.resumeReading()
  t.same(received, ['a', 'b'])
  t.match(connection.stats, { messagesIn: 2, bytesIn: 2, queued: 0 })
  connection.close(3000, 'x')
  t.equal(connection.deliver(letter('d')), 'unknown')
})

t.test('the last message has the code', async (t) => {
  const { connection, stream, texts, events } = make()
  connection.sendText('{"a":1}')
  connection.closeWith(CLOSE.restart)
  connection.close(3000, 'again')
  connection.sendText('{"b":1}')
  await new Promise((resolve) => stream.once('close', resolve))
  t.equal(texts.join(''), '{"a":1}\n{"push":{"disconnect":{"code":3001,"reason":"shutdown"}}}\n')
  t.same(events.slice(-2), [['ended'], ['closed', 3001, true]])
  t.equal(connection.endedBy, 'server')
})

t.test('a client that leaves, and one that is cut', async (t) => {
  const left = make()
  left.stream.destroy(new Error('reset'))
  await new Promise((resolve) => left.stream.once('close', resolve))
  t.equal(left.connection.endedBy, 'client')
  t.same(left.events.at(-1), ['closed', 1006, false])
  t.equal(left.context.wheel.size, 0)
  const cut = make()
  cut.connection.terminate()
  await new Promise((resolve) => cut.stream.once('close', resolve))
  t.equal(cut.connection.endedBy, 'server')
  const stuck = make()
  stuck.stream.pause()
  stuck.connection.overflowed()
  stuck.connection.overflowed()
  stuck.connection.cutOff()
  const closed = new Promise((resolve) => stuck.stream.once('close', resolve))
  stuck.clock.advance(1_100)
  await closed
  t.same(stuck.events.at(-1), ['closed', 3008, true])
})

t.test('the rest of the contract', async (t) => {
  const { connection, events, clock, texts } = make()
  t.same([connection.id, connection.user, connection.warnOfDrain()], ['c1', null, false])
  t.same([connection.roundTripTime, connection.bufferedAmount], [undefined, 0])
  t.equal(connection.maxSubscriptions, 128)
  t.equal(connection.sent.messages, 0)
  t.same(connection.drain(), { handled: undefined, busy: false })
  connection.allow()
  connection.insufficientState()
  connection.unsubscribe()
  connection.notifyDropped()
  connection.overRate()
  connection.caughtUp()
  connection.pingAnswered()
  t.match(events, [['opened'], ['rejected', 'rate_limited'], ['caughtUp']])
  // A client that is not connected yet is sent no ping, and is not taken for dead.
  clock.advance(120_000)
  t.equal(connection.closed, false)
  connection.identify({ sub: 'ada' }, clock.now() + 1_000)
  t.match(connection.user, { sub: 'ada' })
  clock.advance(1_100)
  await new Promise(setImmediate)
  t.match(texts.join(''), '"code":3005')
  const flood = make()
  flood.connection.flooded()
  await new Promise(setImmediate)
  t.match(flood.texts.join(''), '"code":3013')
})
