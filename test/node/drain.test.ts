import { EventEmitter } from 'node:events'
import t from 'tap'
import type { Connection } from '../../lib/connection/connection.ts'
import { Registry } from '../../lib/connection/registry.ts'
import { Drainer } from '../../lib/node/drain.ts'
import { FakeClock } from '../support/clock.ts'

interface Behaviour {
  /** When the handler returns, after it was asked to: undefined if there is none. */
  handler?: Promise<void>
  busy?: boolean
  /** A peer that never answers the close. */
  deaf?: boolean
  /** A connection whose protocol has no notice. */
  plain?: boolean
}

function rig(drain: { delay?: number; window?: number; timeout?: number } = {}, random = () => 0.5) {
  const clock = new FakeClock(1_000)
  const registry = new Registry()
  const events: { at: number; what: string }[] = []
  const note = (what: string) => void events.push({ at: clock.now() - 1_000, what })
  const logged: unknown[] = []
  const drainer = new Drainer({
    registry,
    clock,
    random,
    drain: { delay: 0, window: 15_000, timeout: 25_000, ...drain },
    log: { info: (summary: unknown, message: string) => logged.push([summary, message]) } as never
  })
  const connect = (id: string, { handler, busy = false, deaf = false, plain = false }: Behaviour = {}) => {
    const socket = Object.assign(new EventEmitter(), {
      id,
      user: null,
      closed: false,
      warnOfDrain(reconnectAfter: number) {
        if (!plain) note(`${id} warned ${reconnectAfter}`)
        return !plain
      },
      drain() {
        note(`${id} asked`)
        return { handled: handler, busy }
      },
      closeWith({ code }: { code: number }) {
        if (socket.closed) return
        socket.closed = true
        note(`${id} closed ${code}`)
        if (!deaf) setImmediate(() => socket.leave(true))
      },
      terminate() {
        note(`${id} cut`)
        socket.closed = true
        setImmediate(() => socket.leave(false))
      },
      leave(isAnswered: boolean) {
        socket.closed = true
        drainer.ended(socket as never as Connection, isAnswered)
        registry.delete(socket as never as Connection)
      }
    })
    registry.add(socket as never as Connection)
    return socket
  }
  return { clock, registry, drainer, events, logged, connect, note }
}

const never = new Promise<void>(() => {})

t.test('nobody connected: it is over at once', async (t) => {
  const { drainer, events, logged } = rig()
  t.notOk(drainer.draining)
  const summary = await drainer.drain()
  t.same(summary, { closed: 0, terminated: 0, milliseconds: 0 })
  t.same(logged, [[summary, 'drained']])
  t.same(events, [])
})

const timesOf = (events: { at: number; what: string }[], what: string) =>
  events.filter((event) => event.what.includes(what)).map(({ at }) => at)
const hintsOf = (events: { what: string }[]) =>
  events.filter(({ what }) => what.includes('warned')).map(({ what }) => Number(what.split(' ').at(-1)))

t.test('it drains once, and says so from the call on', async (t) => {
  const { drainer, events, connect, registry } = rig({ window: 0 })
  const socket = connect('a')
  // A handler that is asked to end may call app.close() at once.
  const asked = socket.drain
  let again: Promise<unknown> | undefined
  socket.drain = () => {
    t.ok(drainer.draining)
    again = drainer.drain()
    return asked()
  }
  const draining = drainer.drain()
  t.ok(drainer.draining)
  t.equal(drainer.drain(), draining)
  await draining
  t.equal(again, draining)
  t.same(
    events.map(({ what }) => what),
    ['a warned 0', 'a asked', 'a closed 1012']
  )
  t.equal(registry.size, 0)
})

t.test('the notice comes before the delay, and counts it; the turn comes after the handover', async (t) => {
  const { drainer, clock, connect, events } = rig({ delay: 3_000 })
  connect('a')
  const draining = drainer.drain()
  await clock.pass(4_000, 100)
  t.same(events, [
    { at: 0, what: 'a warned 3000' },
    { at: 4_000, what: 'a asked' },
    { at: 4_000, what: 'a closed 1012' }
  ])
  t.match(await draining, { closed: 1, terminated: 0, milliseconds: 4_000 })
})

t.test('a connection without a notice goes when its turn comes', async (t) => {
  const { drainer, clock, connect, events } = rig({ delay: 3_000 })
  connect('plain', { plain: true })
  const draining = drainer.drain()
  await clock.pass(3_000, 100)
  t.same(events, [
    { at: 3_000, what: 'plain asked' },
    { at: 3_000, what: 'plain closed 1012' }
  ])
  await draining
})

t.test('all are warned before anything else, and told times that are spread over the window', async (t) => {
  const { drainer, clock, connect, events } = rig({ delay: 2_000, window: 10_000 })
  for (let i = 0; i < 400; i++) connect(String(i))
  void drainer.drain()
  for (let turn = 0; turn < 10; turn++) await new Promise(setImmediate)
  const hints = hintsOf(events)
  t.equal(hints.length, 400)
  t.equal(events.length, 400, 'nothing else has happened')
  t.equal(Math.min(...hints), 2_000)
  t.equal(Math.max(...hints), 11_975)
  const quarters = [0, 1, 2, 3].map((i) => hints.filter((hint) => Math.floor((hint - 2_000) / 2_500) === i).length)
  t.same(quarters, [100, 100, 100, 100])
  await clock.pass(13_000, 100)
  await drainer.drain()
})

t.test('10,000 notices do not hold up the event loop', async (t) => {
  const { drainer, connect, events } = rig({ window: 0 })
  for (let i = 0; i < 10_000; i++) connect(String(i))
  void drainer.drain()
  let turns = 0
  let most = 0
  for (let before = 0; before < 10_000; turns++) {
    await new Promise(setImmediate)
    const now = events.filter(({ what }) => what.includes('warned')).length
    most = Math.max(most, now - before)
    before = now
  }
  t.ok(most <= 200, `at most ${most} in a turn`)
  t.ok(turns >= 50)
  await drainer.drain()
})

t.test('it is over when all have gone by themselves', async (t) => {
  const { drainer, clock, connect, events } = rig({ window: 15_000 })
  const sockets = Array.from({ length: 100 }, (_, i) => connect(String(i)))
  const draining = drainer.drain()
  await clock.pass(2_000)
  const asked = events.length
  t.ok(asked > 100)
  for (const socket of sockets) if (!socket.closed) socket.leave(true)
  await clock.pass(20)
  t.match(await draining, { milliseconds: 2_010 })
  t.equal(events.length, asked, 'nobody is asked any more')
})

t.test('closes are spread over the window', async (t) => {
  const { drainer, clock, connect, events } = rig({ window: 10_000 })
  for (let i = 0; i < 100; i++) connect(String(i))
  const draining = drainer.drain()
  await clock.pass(11_000)
  t.match(await draining, { closed: 100, terminated: 0 })
  const times = timesOf(events, 'closed')
  t.equal(times.length, 100)
  t.equal(times[0], 1_000)
  t.ok((times.at(-1) as number) >= 10_800 && (times.at(-1) as number) <= 11_000)
  const gaps = times.slice(1).map((time, index) => time - (times[index] as number))
  t.ok(Math.max(...gaps) <= 110, `one after another: ${Math.max(...gaps)}`)
})

t.test('each has time to hand over: its turn comes a second after the time it was told', async (t) => {
  const told = async (drain: { window?: number; timeout?: number }) => {
    const { drainer, clock, connect, events } = rig(drain)
    connect('a')
    connect('b')
    const draining = drainer.drain()
    await clock.pass(25_000, 100)
    await draining
    const hints = new Map(events.filter(({ what }) => what.includes('warned')).map(({ what }) => [what[0], what]))
    return events
      .filter(({ what }) => what.includes('closed'))
      .map(({ at, what }) => at - Number(hints.get(what[0])?.split(' ').at(-1)))
  }
  t.same(await told({}), [1_000, 1_000])
  t.same(await told({ window: 2_000 }), [500, 500], 'a quarter of the window at most')
  t.same(await told({ window: 4_000, timeout: 4_300 }), [300, 300], 'and no turn comes after the timeout')
})

t.test('few connections do not wait for the window: they are at most 500 ms apart', async (t) => {
  const { drainer, clock, connect, events } = rig()
  for (const id of ['a', 'b', 'c']) connect(id, { plain: true })
  const draining = drainer.drain()
  await clock.pass(1_500)
  await draining
  t.same(timesOf(events, 'closed'), [0, 500, 1_000])
})

t.test('without a window all go at once', async (t) => {
  const { drainer, connect, events } = rig({ window: 0 })
  for (let i = 0; i < 50; i++) connect(String(i))
  await drainer.drain()
  t.equal(events.filter(({ at, what }) => at === 0 && what.endsWith('warned 0')).length, 50)
  t.equal(timesOf(events, 'closed').length, 50)
})

t.test('the order is random', async (t) => {
  const { drainer, connect, events } = rig({ window: 0 }, () => 0)
  for (const id of ['a', 'b', 'c']) connect(id)
  await drainer.drain()
  t.same(
    events.filter(({ what }) => what.includes('asked')).map(({ what }) => what[0]),
    ['b', 'c', 'a']
  )
})

t.test('an idle handler has a second and a half to return, and is closed when it has', async (t) => {
  let finish = () => {}
  const handler = new Promise<void>((resolve) => {
    finish = resolve
  })
  const { drainer, clock, connect, events } = rig({ window: 0 })
  connect('quick', { handler })
  const draining = drainer.drain()
  await clock.pass(200)
  t.notMatch(events, [{}, { what: /closed/ }])
  finish()
  await draining
  t.match(events.at(-1), { at: 200, what: 'quick closed 1012' })

  const other = rig({ window: 0 })
  other.connect('slow', { handler: never })
  const second = other.drainer.drain()
  await other.clock.pass(1_500)
  t.match(other.events.at(-1), { at: 1_500, what: 'slow closed 1012' })
  await other.clock.pass(10)
  await second
})

t.test('a busy handler has until shortly before the timeout', async (t) => {
  const { drainer, clock, connect, events } = rig({ window: 1_000, timeout: 10_000 })
  connect('busy', { handler: never, busy: true })
  const draining = drainer.drain()
  await clock.pass(7_990)
  t.same(timesOf(events, 'closed'), [])
  await clock.pass(10)
  t.match(events.at(-1), { at: 8_000, what: 'busy closed 1012' })
  t.match(await draining, { closed: 1, terminated: 0 })
})

t.test('who does not answer is cut at the timeout', async (t) => {
  const { drainer, clock, connect, events } = rig({ window: 0, timeout: 5_000 })
  connect('deaf', { deaf: true })
  connect('good')
  const draining = drainer.drain()
  await clock.pass(5_000)
  t.same(await draining, { closed: 1, terminated: 1, milliseconds: 5_000 })
  t.same(events.at(-1), { at: 5_000, what: 'deaf cut' })
})

t.test('a stall past the timeout ends the spreading, too', async (t) => {
  const { drainer, clock, connect } = rig({ window: 4_000, timeout: 5_000 })
  for (let i = 0; i < 20; i++) connect(String(i))
  const draining = drainer.drain()
  await clock.pass(100)
  clock.stall(60_000)
  await clock.pass(1_000)
  t.match(await draining, { closed: 20 })
})

t.test('a connection whose handshake ends during the drain is warned, and goes last', async (t) => {
  const { drainer, clock, connect, events } = rig({ window: 4_000 })
  for (let i = 0; i < 20; i++) connect(String(i))
  const draining = drainer.drain()
  await clock.pass(400)
  connect('late')
  await clock.pass(100)
  t.match(events.at(-1), { what: 'late warned 4300' })
  await clock.pass(5_300)
  t.match(events.at(-1), { at: 5_800, what: 'late closed 1012' })
  t.match(await draining, { closed: 21 })
})

t.test('one that comes after all turns is warned and closed at once', async (t) => {
  const { drainer, clock, connect, events } = rig()
  connect('busy', { handler: never, busy: true })
  const draining = drainer.drain()
  await clock.pass(5_000)
  connect('late')
  await clock.pass(500)
  t.match(events.slice(-3), [{ what: 'late warned 0' }, { what: 'late asked' }, { what: 'late closed 1012' }])
  await clock.pass(20_000, 100)
  t.match(await draining, { closed: 2 })
  t.equal(clock.running, 0, 'no timer is left')
})

t.test('who is closing already is waited for, and not counted', async (t) => {
  const { drainer, clock, connect, events } = rig()
  const socket = connect('going')
  socket.closed = true
  const draining = drainer.drain()
  await clock.pass(100)
  t.same(events, [])
  socket.leave(true)
  t.match(await draining, { closed: 0, terminated: 0 })
})
