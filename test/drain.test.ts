import { EventEmitter } from 'node:events'
import t from 'tap'
import { Drainer } from '../lib/drain.ts'
import type { RealtimeSocket } from '../lib/socket/realtime-socket.ts'
import { Registry } from '../lib/socket/registry.ts'
import { FakeClock } from './support/clock.ts'

interface Behaviour {
  /** When the handler returns, after it was told: undefined where there is none. */
  handler?: Promise<void>
  busy?: boolean
  /** A peer that never answers the close. */
  deaf?: boolean
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
  const connect = (id: string, { handler, busy = false, deaf = false }: Behaviour = {}) => {
    const socket = Object.assign(new EventEmitter(), {
      id,
      user: null,
      closed: false,
      drain(reconnectAfter: number) {
        note(`${id} told ${reconnectAfter}`)
        return { handled: handler, busy }
      },
      closeWith({ code }: { code: number }) {
        if (socket.closed) return
        socket.closed = true
        note(`${id} closed ${code}`)
        if (!deaf) setImmediate(() => socket.leave(code))
      },
      terminate() {
        note(`${id} cut`)
        socket.closed = true
        setImmediate(() => socket.leave(1006))
      },
      leave(code: number) {
        registry.delete(socket as never as RealtimeSocket)
        socket.emit('close', code)
      }
    })
    registry.add(socket as never as RealtimeSocket)
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

t.test('it drains once, and says so from the call on', async (t) => {
  const { drainer, events, connect, registry } = rig()
  const socket = connect('a')
  // What is told to go may call app.close() at once.
  const told = socket.drain
  let again: Promise<unknown> | undefined
  socket.drain = (reconnectAfter) => {
    t.ok(drainer.draining)
    again = drainer.drain()
    return told(reconnectAfter)
  }
  const draining = drainer.drain()
  t.ok(drainer.draining)
  t.equal(drainer.drain(), draining)
  await draining
  t.equal(again, draining)
  t.equal(events.filter(({ what }) => what.startsWith('a told')).length, 1)
  t.equal(registry.size, 0)
})

t.test('the delay comes before everything else', async (t) => {
  const { drainer, clock, connect, events } = rig({ delay: 3_000 })
  connect('a')
  const draining = drainer.drain()
  await clock.pass(3_000, 100)
  t.same(events, [
    { at: 3_000, what: 'a told 2500' },
    { at: 3_000, what: 'a closed 1012' }
  ])
  t.match(await draining, { closed: 1, terminated: 0, milliseconds: 3_000 })
})

t.test('it is over when all have gone of themselves', async (t) => {
  const { drainer, clock, connect, events } = rig({ window: 15_000 })
  const sockets = Array.from({ length: 100 }, (_, i) => connect(String(i)))
  const draining = drainer.drain()
  await clock.pass(1_000)
  const told = events.length
  for (const socket of sockets) if (!socket.closed) socket.leave(1001)
  await clock.pass(20)
  t.match(await draining, { milliseconds: 1_010 })
  t.equal(events.length, told, 'nobody is told any more')
})

t.test('closes are spread over the window', async (t) => {
  const { drainer, clock, connect, events } = rig({ window: 10_000 })
  for (let i = 0; i < 100; i++) connect(String(i))
  const draining = drainer.drain()
  await clock.pass(10_000)
  t.match(await draining, { closed: 100, terminated: 0 })
  const times = events.filter(({ what }) => what.includes('closed')).map(({ at }) => at)
  t.equal(times.length, 100)
  t.equal(times[0], 0)
  t.ok((times.at(-1) as number) >= 9_800 && (times.at(-1) as number) <= 10_000)
  const gaps = times.slice(1).map((time, index) => time - (times[index] as number))
  t.ok(Math.max(...gaps) <= 110, `one after another: ${Math.max(...gaps)}`)
})

t.test('few connections do not wait for the window: they are at most 500 ms apart', async (t) => {
  const { drainer, clock, connect, events } = rig()
  for (const id of ['a', 'b', 'c']) connect(id)
  const draining = drainer.drain()
  await clock.pass(1_500)
  await draining
  const times = events.filter(({ what }) => what.includes('closed')).map(({ at }) => at)
  t.same(times, [0, 500, 1_000])
})

t.test('without a window all are told at once', async (t) => {
  const { drainer, connect, events } = rig({ window: 0 })
  for (let i = 0; i < 50; i++) connect(String(i))
  await drainer.drain()
  t.equal(events.filter(({ at, what }) => at === 0 && what.endsWith('told 0')).length, 50)
})

t.test('the order is random, and clients come back over five seconds at most', async (t) => {
  const { drainer, connect, events } = rig({ window: 0 }, () => 0)
  for (const id of ['a', 'b', 'c']) connect(id)
  await drainer.drain()
  t.same(
    events.filter(({ what }) => what.includes('told')).map(({ what }) => what[0]),
    ['b', 'c', 'a']
  )
  const far = rig({ window: 15_000 }, () => 0.999)
  far.connect('a')
  await far.drainer.drain()
  t.match(far.events, [{ what: 'a told 4995' }])
})

t.test('an idle handler has a second and a half to return, and is closed when it has', async (t) => {
  let finish = () => {}
  const handler = new Promise<void>((resolve) => {
    finish = resolve
  })
  const { drainer, clock, connect, events } = rig()
  connect('quick', { handler })
  const draining = drainer.drain()
  await clock.pass(200)
  t.notMatch(events, [{}, { what: /closed/ }])
  finish()
  await draining
  t.match(events.at(-1), { at: 200, what: 'quick closed 1012' })

  const other = rig()
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
  t.equal(events.length, 1)
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

t.test('who comes while it drains, from a handshake begun before, is told as well', async (t) => {
  const { drainer, clock, connect, events } = rig()
  connect('busy', { handler: never, busy: true })
  const draining = drainer.drain()
  await clock.pass(5_000)
  connect('late')
  await clock.pass(500)
  t.match(events.at(-1), { what: 'late closed 1012' })
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
  socket.leave(1000)
  t.match(await draining, { closed: 0, terminated: 0 })
})
