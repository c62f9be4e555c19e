import t from 'tap'
import { Liveness, type LivenessOwner } from '../../lib/connection/liveness.ts'
import { DEFAULTS } from '../../lib/options/options.ts'
import { Resumption } from '../../lib/socket/resumption.ts'
import { TimerWheel } from '../../lib/timing/timer-wheel.ts'
import { FakeClock } from '../support/clock.ts'
import { opcodes } from '../support/raw-socket.ts'
import { next, rawPair, socketRig } from '../support/socket-rig.ts'

/* How long a connection lives: heartbeats, expiry, and the cut. */

t.test('a gone connection leaves no timer', async (t) => {
  const { accept, wheel, clock } = await socketRig(t, { kind: 'raw', limits: { messages: { rate: 1, burst: 1 } } })
  const { socket, client } = await accept()
  t.equal(wheel.size, 1)
  client.send(1)
  client.send(2)
  while (!socket.isPaused) await new Promise(setImmediate)
  t.equal(wheel.size, 2)
  const closed = next(socket, 'close')
  socket.terminate()
  await closed
  t.equal(wheel.size, 0)
  t.equal(clock.running, 0)
  socket.extend(clock.now() + 5_000)
  clock.advance(10_000)
  t.equal(wheel.size, 0)
})

t.test('pings come with the interval, and tell the round trip', async (t) => {
  const { socket, client, clock, eventsOf } = await rawPair(t)
  t.equal(socket.roundTripTime, undefined)
  clock.advance(25_000)
  const { opcode, payload } = await client.nextFrame()
  t.equal(opcode, opcodes.ping)
  clock.advance(20)
  const pong = next(socket, 'pong')
  client.send({ opcode: opcodes.pong, payload })
  await pong
  t.equal(socket.roundTripTime, 20)
  t.same(eventsOf('round trip'), [['round trip', 20]])
  clock.advance(10_000)
  t.same(eventsOf('heartbeat timeout'), [])
})

t.test('who does not answer is gone after interval and timeout', async (t) => {
  const { socket, client, clock, eventsOf } = await rawPair(t)
  const closed = next(socket, 'close')
  clock.advance(25_000)
  client.send({ opcode: opcodes.pong, payload: 'made up' })
  await next(socket, 'pong')
  clock.advance(9_900)
  t.same(eventsOf('heartbeat timeout'), [], 'not before')
  clock.advance(150)
  t.same(eventsOf('heartbeat timeout'), [['heartbeat timeout']])
  await closed
  t.same(eventsOf('closed'), [['closed', 1006]])
})

t.test('who sends anything is alive', async (t) => {
  for (const event of ['message', 'ping']) {
    const { socket, client, clock, eventsOf } = await rawPair(t, { kind: 'raw' })
    clock.advance(25_000)
    const heard = next(socket, event)
    client.send({ opcode: event === 'ping' ? opcodes.ping : opcodes.text })
    await heard
    clock.advance(20_000)
    t.same(eventsOf('heartbeat timeout'), [], event)
  }
})

t.test('a server that was stopped does not take everybody for dead', async (t) => {
  const { socket, client, clock, eventsOf } = await rawPair(t)
  clock.advance(25_000)
  const { payload } = await client.nextFrame()
  const pong = next(socket, 'pong')
  client.send({ opcode: opcodes.pong, payload })
  // What the client sent waits in the kernel when the timers run.
  clock.stall(60_000)
  t.same(eventsOf('heartbeat timeout'), [])
  await pong
  clock.advance(2_000)
  t.same(eventsOf('heartbeat timeout'), [])
})

t.test('who is not being read is not judged', async (t) => {
  const { socket, client, clock, eventsOf } = await rawPair(t, { kind: 'raw' })
  socket.pause()
  clock.advance(25_000)
  const { payload } = await client.nextFrame()
  client.send({ opcode: opcodes.pong, payload })
  clock.advance(600_000)
  t.same(eventsOf('heartbeat timeout'), [])
  const pong = next(socket, 'pong')
  socket.resume()
  clock.advance(900)
  await pong
  clock.advance(9_000)
  t.same(eventsOf('heartbeat timeout'), [])
})

t.test('a visible ping, where nothing else was sent', async (t) => {
  const { accept, clock } = await socketRig(t, { heartbeat: { visible: true } })
  const { socket, client } = await accept()
  clock.advance(25_000)
  t.match(await client.next(), { ping: Number })
  await client.expectNothing()
  socket.sendJson('busy')
  clock.advance(25_000)
  t.equal(await client.next(), 'busy')
  await client.expectNothing()
  clock.advance(25_000)
  t.match(await client.next(), { ping: Number })
})

t.test('an expired token ends the connection, a new one extends it', async (t) => {
  const { accept, clock } = await socketRig(t, { expiresAt: 12_000 })
  const { socket, client } = await accept()
  clock.advance(1_000)
  socket.extend(14_000)
  clock.advance(2_900)
  t.notOk(socket.closed)
  clock.advance(150)
  t.same(await client.closed(), { code: 4401, reason: 'token expired' })
})

t.test('whose it is may be learnt later', async (t) => {
  const { accept, clock, eventsOf } = await socketRig(t, { user: null })
  const { socket, client } = await accept()
  t.equal(socket.user, null)
  socket.identify({ sub: 'bob' }, clock.now() + 1_000)
  t.match(socket.user, { sub: 'bob' })
  t.equal(eventsOf('identified').length, 1)
  clock.advance(1_050)
  t.match(await client.closed(), { code: 4401 })
})

t.test('a client that resumes gets visible pings, whatever the route says', async (t) => {
  const { accept, clock, eventsOf } = await socketRig(t, { heartbeat: { interval: 1_000, visible: false } })
  const { socket, client } = await accept()
  // Its positions are {}.
  socket.begin({ requests: false, queued: false }, Resumption.from('/?since=e30', 128))
  await client.next()
  clock.advance(1_100)
  while (eventsOf('round trip').length === 0) await new Promise(setImmediate)
  clock.advance(1_100)
  t.match(await client.next(), { ping: Number })
})

t.test(
  'a connection whose close is not waited for is cut a second later, and nothing else is due before',
  async (t) => {
    const { clock, wheel, liveness, owner, calls } = make({ expiresAt: 1_500 })
    owner.closed = true
    liveness.terminateSoon()
    liveness.start()
    liveness.extend(1_200)
    clock.advance(950)
    t.same(calls, [])
    clock.advance(100)
    t.same(calls, ['terminate'])
    t.equal(wheel.size, 0)
  }
)

t.test('a peer that no longer answers: cut, or closed if a session can say so', async (t) => {
  for (const session of [undefined, { ping: () => false }]) {
    const { clock, liveness, owner, calls, wheel } = make()
    owner.session = session
    liveness.start()
    clock.advance(25_000)
    clock.advance(10_050)
    t.same(calls, ['ping', 'heartbeat timeout', session === undefined ? 'terminate' : 'close 4408'])
    t.equal(wheel.size, 0)
  }
})

t.test('an answer counts once, be it a pong or the session’s', async (t) => {
  const { clock, liveness, calls } = make()
  t.notOk(liveness.pingAnswered())
  liveness.start()
  clock.advance(25_000)
  clock.advance(30)
  t.ok(liveness.pingAnswered())
  t.equal(liveness.roundTripTime, 30)
  t.notOk(liveness.pingAnswered())
  t.same(calls, ['ping', 'round trip 30'])
})

/** A liveness alone, with what it asks of its socket in `calls`. */
t.test('a reader that is given up with a visible ping gets no ping frame behind its close frame', async (t) => {
  const { clock, owner, calls, liveness } = make({ heartbeat: { ...DEFAULTS.heartbeat, visible: true } })
  owner.sendText = () => {
    calls.push('send')
    owner.closed = true
    liveness.terminateSoon()
  }
  liveness.start()
  clock.advance(25_000)
  t.same(calls, ['send'])
  clock.advance(1_050)
  t.same(calls, ['send', 'terminate'])
})

function make(settings: Partial<LivenessOwner['settings']> = {}) {
  const clock = new FakeClock(0)
  const wheel = new TimerWheel(clock, 50)
  const calls: string[] = []
  const tell = (name: string) => (detail?: unknown) =>
    void calls.push(detail === undefined ? name : `${name} ${detail}`)
  const owner = {
    closed: false,
    isPaused: false,
    session: undefined as LivenessOwner['session'],
    settings: {
      kind: 'messages',
      heartbeat: DEFAULTS.heartbeat,
      expiresAt: Number.POSITIVE_INFINITY,
      ...settings
    } as const,
    sent: { messages: 0 },
    sendText: tell('send'),
    sendPing: () => calls.push('ping'),
    closeWith: ({ code }: { code: number }) => calls.push(`close ${code}`),
    terminate: tell('terminate')
  }
  const observer = { roundTrip: tell('round trip'), heartbeatTimeout: tell('heartbeat timeout') } as never
  return { clock, wheel, owner, calls, liveness: new Liveness({ wheel, random: () => 0.5, observer }, owner) }
}
