import t from 'tap'
import type { ConnectionSession } from '../../lib/connection/connection.ts'
import { PAUSE_REASON } from '../../lib/connection/reading.ts'
import type { RealtimeSocket } from '../../lib/socket/realtime-socket.ts'
import { frame, opcodes, rawUpgrade } from '../support/raw-socket.ts'
import { next, type RigOptions, socketRig } from '../support/socket-rig.ts'

/* What a connection that speaks the channel protocol leaves to its session. */

async function sessionRig(t: Parameters<typeof socketRig>[0], options?: RigOptions) {
  const rig = await socketRig(t, { kind: 'channels', ...options })
  const connection = next<[RealtimeSocket]>(rig.sockets, 'connection')
  const client = await rawUpgrade(await rig.port())
  const [socket] = await connection
  const calls: string[] = []
  const answers = { ping: true, drain: undefined as Promise<void> | undefined }
  const session: Partial<ConnectionSession> = {
    receive: (data, isBinary) => void calls.push(`${isBinary ? 'bytes' : 'text'} ${data}`),
    ping: () => answers.ping,
    caughtUp: () => void calls.push('caught up'),
    ended: () => void calls.push('ended'),
    drain: () => answers.drain
  }
  socket.session = session as ConnectionSession
  return { ...rig, client, socket, calls, answers }
}

t.test('its messages and its end are the session’s', async (t) => {
  const { socket, client, calls, eventsOf } = await sessionRig(t)
  client.send({ payload: '{"id":1}' }, { opcode: opcodes.binary, payload: 'b' })
  while (calls.length < 2) await new Promise(setImmediate)
  socket.caughtUp()
  const closed = next(socket, 'close')
  client.destroy()
  await closed
  t.same(calls, ['text {"id":1}', 'bytes b', 'caught up', 'ended'])
  t.same(eventsOf('streams closed'), [])
  t.equal(eventsOf('closed').length, 1)
})

t.test('it is closed with the codes of the protocol', async (t) => {
  const { socket, client, clock } = await sessionRig(t)
  socket.extend(clock.now() + 100)
  clock.advance(200)
  const { code } = await client.closeFrame()
  t.ok(code >= 3000 && code < 5000 && code !== 4401, String(code))
})

t.test('the session pings where it can, and its answer tells the round trip', async (t) => {
  const { socket, client, clock, answers, eventsOf } = await sessionRig(t)
  socket.pingAnswered()
  t.equal(socket.roundTripTime, undefined, 'nothing was asked')
  clock.advance(25_000)
  clock.advance(30)
  socket.pingAnswered()
  t.equal(socket.roundTripTime, 30)
  t.same(eventsOf('round trip'), [['round trip', 30]])
  answers.ping = false
  clock.advance(25_000)
  t.match(await client.nextFrame(), { opcode: opcodes.ping }, 'the first frame at all')
})

t.test('answers that nobody asked for are counted', async (t) => {
  const { socket, client, clock } = await sessionRig(t)
  for (let i = 0; i < 30 && !socket.closed; i++) {
    for (let j = 0; j < 250; j++) socket.pingAnswered()
    clock.advance(500)
  }
  t.ok(socket.closed)
  t.ok((await client.closeFrame()).code >= 3000)
})

t.test('who no longer answers is told so with a close that its client answers by coming back', async (t) => {
  const { client, clock, eventsOf } = await sessionRig(t)
  clock.advance(36_000)
  t.same(eventsOf('heartbeat timeout'), [['heartbeat timeout']])
  const { code } = await client.closeFrame()
  t.ok(code >= 3000 && code < 3500, String(code))
})

t.test('commands have the rates that messages have', async (t) => {
  const { socket, client, eventsOf } = await sessionRig(t, { limits: { messages: { rate: 1, burst: 2 } } })
  t.same(
    [socket.intake.takeCommand(1), socket.intake.takeCommand(1), socket.intake.takeCommand(1)],
    [true, true, false]
  )
  t.same(eventsOf('rejected'), [['rejected', 'rate_limited']])
  for (let n = 1; n < 2_000; n++) socket.intake.takeCommand(1)
  t.equal((await client.closeFrame()).code, 3013)
})

t.test('what its client has caused to be sent is paid for', async (t) => {
  const { socket, clock } = await sessionRig(t, { limits: { bytes: { rate: 1_000, burst: 100 } } })
  t.notOk(socket.intake.indebted)
  socket.intake.spend(1_100)
  t.ok(socket.intake.indebted)
  t.notOk(socket.intake.takeCommand(1))
  clock.advance(1_000)
  t.notOk(socket.intake.indebted)
})

t.test('an allowance counts all that comes, and is lifted', async (t) => {
  const { socket, client } = await sessionRig(t)
  socket.intake.liftAllowance()
  let exceeded = 0
  socket.allow(1_000, () => exceeded++)
  // Half of a message: ws has nothing to hand out.
  client.write(frame({ payload: 'x'.repeat(2_000) }).subarray(0, 1_500))
  while (exceeded === 0) await new Promise(setImmediate)
  socket.cutOff()
  t.ok(socket.isPaused)
  socket.allow(10, () => exceeded++)
  socket.intake.liftAllowance()
  socket.terminate()
  await client.ended()
  t.equal(exceeded, 1)
})

t.test('the session can stop the reading', async (t) => {
  const { socket } = await sessionRig(t)
  socket.intake.pause(PAUSE_REASON.inbox)
  t.ok(socket.isPaused)
  socket.intake.resume(PAUSE_REASON.inbox)
  t.notOk(socket.isPaused)
})

t.test('draining waits for what the session has begun', async (t) => {
  const { socket, answers } = await sessionRig(t)
  t.same(socket.drain(), { handled: undefined, busy: false })
  answers.drain = Promise.resolve()
  t.same(socket.drain(), { handled: answers.drain, busy: true })
})

t.test('case 129: an error in the session ends its connection, and is no end of the process', async (t) => {
  const { socket, client, logs, eventsOf } = await sessionRig(t)
  const error = new Error('a session')
  const fail = () => {
    throw error
  }
  Object.assign(socket.session as ConnectionSession, { receive: fail, ended: fail })
  const closed = next(socket, 'close')
  client.send({ payload: '{"id":1}' })
  while (!socket.closed) await new Promise(setImmediate)
  client.destroy()
  await closed
  t.match(logs, [
    ['error', { err: error, event: 'message' }, 'socket listener failed'],
    ['error', { err: error, event: 'close' }, 'socket listener failed']
  ])
  t.equal(eventsOf('closed').length, 1, 'a drain that waits for it comes to its end')
})
