import t from 'tap'
import { DISCONNECT, type Disconnect } from '../../lib/protocol/disconnect-codes.ts'
import { Opening } from '../../lib/session/opening.ts'
import { TimerWheel } from '../../lib/timing/timer-wheel.ts'
import { FakeClock } from '../support/clock.ts'
import { FakeConnection } from '../support/fake-connection.ts'

function rig() {
  const clock = new FakeClock(1_000)
  const wheel = new TimerWheel(clock, 50)
  const connection = new FakeConnection()
  const ends: Disconnect[] = []
  const services = { wheel, authTimeout: 5_000 }
  const opening = new Opening({ connection, services, disconnect: (reason) => ends.push(reason) })
  return { clock, wheel, connection, opening, ends }
}

t.test('the client has its time, not while it waits for the application', async (t) => {
  const { clock, wheel, opening, ends } = rig()
  clock.advance(4_000)
  opening.awaitApplication()
  clock.advance(60_000)
  t.same(ends, [])
  opening.awaitClient()
  clock.advance(4_900)
  t.same(ends, [])
  clock.advance(200)
  t.same(ends, [DISCONNECT.stale])
  t.equal(wheel.size, 0)
})

t.test('a client whose messages wait in the kernel is not too slow', async (t) => {
  const { clock, ends } = rig()
  clock.stall(30_000)
  t.same(ends, [])
  clock.advance(1_100)
  t.same(ends, [DISCONNECT.stale])
})

t.test('it may send so many bytes in messages, and some more on the wire', async (t) => {
  const { connection, opening, ends } = rig()
  t.equal(connection.allowance?.bytes, 69_632)
  t.equal(opening.accepts(65_536), true)
  t.equal(opening.accepts(1), false)
  t.same(ends, [DISCONNECT.badRequest])
  t.same(connection.calls, [['cutOff']])
  connection.allowance?.exceeded()
  t.equal(ends.length, 2)
})

t.test('commands that come early are given once, and none after the end', async (t) => {
  const { wheel, opening } = rig()
  const command = { id: 1, name: 'ping', request: {} } as const
  opening.keep(command, 'text')
  t.same(opening.take(), [{ command, source: 'text' }])
  t.same(opening.take(), [])
  opening.keep(command, 'text')
  opening.end()
  t.same(opening.take(), [])
  t.equal(wheel.size, 0)
})
