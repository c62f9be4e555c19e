import t from 'tap'
import { type Beat, Heartbeat } from '../../lib/connection/heartbeat.ts'

const NEVER = Number.NEGATIVE_INFINITY
const settings = { interval: 1_000, timeout: 300, visible: false }
// In the middle of the spread: exactly one interval.
const EXACT = 0.5

function payloadOf(beat: Beat): Buffer {
  if (beat.action !== 'ping') throw new Error(`expected a ping, got ${beat.action}`)
  return beat.frame.subarray(2)
}

t.test('a ping every interval, give or take 10 %', async (t) => {
  t.equal(new Heartbeat(settings, 5_000, 0).first, 5_900)
  t.equal(new Heartbeat(settings, 5_000, EXACT).first, 6_000)
  t.equal(new Heartbeat(settings, 5_000, 1).first, 6_100)
  const heartbeat = new Heartbeat(settings, 0, EXACT)
  t.same(heartbeat.beat(999, EXACT, NEVER, false), { action: 'wait', next: 1_000 })
  t.match(heartbeat.beat(1_000, 0, NEVER, false), { action: 'ping', next: 1_300 })
  heartbeat.frameReceived()
  t.same(heartbeat.beat(1_300, EXACT, NEVER, false), { action: 'wait', next: 1_900 })
  t.match(heartbeat.beat(1_900, EXACT, NEVER, false), { action: 'ping', next: 2_200 })
})

t.test('ping times are rounded, so that many connections share a frame', async (t) => {
  const interval = 25_000
  const make = (now: number) => new Heartbeat({ ...settings, interval }, now, EXACT)
  t.equal(make(1).first, 25_000)
  t.equal(make(249).first, 25_000)
  t.equal(make(250).first, 25_250)
  t.equal(new Heartbeat({ ...settings, interval: 4_999 }, 2, EXACT).first, 5_001, 'not with a short interval')
  const [one, other] = [make(1), make(200)].map((heartbeat) => heartbeat.beat(25_000, EXACT, NEVER, false))
  t.match(one, { action: 'ping', frame: Buffer, next: 25_300 })
  t.equal(one?.action === 'ping' && one.frame, other?.action === 'ping' && other.frame, 'the same frame')
  const later = make(1).beat(25_001, EXACT, NEVER, false)
  t.strictNotSame(payloadOf(later), payloadOf(one as Beat), 'not at another time')
})

t.test('no answer within the timeout is death, not before', async (t) => {
  const heartbeat = new Heartbeat(settings, 0, EXACT)
  heartbeat.beat(1_000, EXACT, NEVER, false)
  t.same(heartbeat.beat(1_299, EXACT, NEVER, false), { action: 'wait', next: 1_300 })
  t.same(heartbeat.beat(1_300, EXACT, NEVER, false), { action: 'dead' })
})

t.test('a timeout longer than the interval holds, too', async (t) => {
  const heartbeat = new Heartbeat({ interval: 100, timeout: 1_000, visible: false }, 0, EXACT)
  t.match(heartbeat.beat(100, EXACT, NEVER, false), { action: 'ping', next: 200 })
  t.same(heartbeat.beat(200, EXACT, NEVER, false), { action: 'wait', next: 1_100 })
  t.same(heartbeat.beat(1_100, EXACT, NEVER, false), { action: 'dead' })
})

t.test('the pong keeps alive, and tells the round trip', async (t) => {
  const heartbeat = new Heartbeat(settings, 0, EXACT)
  t.equal(heartbeat.roundTripTime, undefined)
  const payload = payloadOf(heartbeat.beat(1_000.25, EXACT, NEVER, false))
  t.equal(payload.length, 8)
  t.ok(heartbeat.pongReceived(payload, 1_012.25))
  t.equal(heartbeat.roundTripTime, 12)
  t.same(heartbeat.beat(1_300.25, EXACT, NEVER, false), { action: 'wait', next: 2_000.25 })
  t.notOk(heartbeat.pongReceived(payload, 1_400), 'a pong counts once')
  t.equal(heartbeat.roundTripTime, 12)
})

t.test('an unsolicited pong keeps nobody alive', async (t) => {
  const heartbeat = new Heartbeat(settings, 0, EXACT)
  t.notOk(heartbeat.pongReceived(Buffer.alloc(8), 10))
  const payload = payloadOf(heartbeat.beat(1_000, EXACT, NEVER, false))
  const guesses = [Buffer.alloc(0), Buffer.alloc(8), payload.subarray(1), Buffer.concat([payload, payload])]
  for (const guess of guesses) t.notOk(heartbeat.pongReceived(guess, 1_001))
  t.same(heartbeat.beat(1_300, EXACT, NEVER, false), { action: 'dead' })
})

t.test('any other frame keeps alive; a late pong still tells the round trip', async (t) => {
  const heartbeat = new Heartbeat(settings, 0, EXACT)
  const payload = payloadOf(heartbeat.beat(1_000, EXACT, NEVER, false))
  heartbeat.frameReceived()
  t.same(heartbeat.beat(1_300, EXACT, NEVER, false), { action: 'wait', next: 2_000 })
  t.ok(heartbeat.pongReceived(payload, 1_500))
  t.equal(heartbeat.roundTripTime, 500)
})

t.test('after a stall nobody is judged before the grace is over', async (t) => {
  const heartbeat = new Heartbeat(settings, 0, EXACT)
  heartbeat.beat(1_000, EXACT, NEVER, false)
  t.same(heartbeat.beat(11_000, EXACT, 12_000, false), { action: 'wait', next: 12_000 })
  t.same(heartbeat.beat(12_000, EXACT, 12_000, false), { action: 'dead' })
})

t.test('who is not being read is not judged, nor at once when read again', async (t) => {
  const heartbeat = new Heartbeat(settings, 0, EXACT)
  heartbeat.beat(1_000, EXACT, NEVER, false)
  t.same(heartbeat.beat(1_300, EXACT, NEVER, true), { action: 'wait', next: 2_300 })
  t.same(heartbeat.beat(6_000, EXACT, NEVER, true), { action: 'wait', next: 7_000 })
  heartbeat.resumed(6_999)
  t.same(heartbeat.beat(7_000, EXACT, NEVER, false), { action: 'wait', next: 7_999 })
  t.same(heartbeat.beat(7_999, EXACT, NEVER, false), { action: 'dead' })
})

t.test('who is not being read is pinged all the same, or a dead connection would never show', async (t) => {
  const heartbeat = new Heartbeat(settings, 0, EXACT)
  t.match(heartbeat.beat(1_000, EXACT, NEVER, true), { action: 'ping' })
  t.match(heartbeat.beat(10_999, EXACT, NEVER, true), { action: 'wait' })
  t.match(heartbeat.beat(11_000, EXACT, NEVER, true), { action: 'ping' }, 'the first shows nothing yet')
  t.match(heartbeat.beat(21_000, EXACT, NEVER, true), { action: 'ping' })
  t.same(heartbeat.beat(21_999, EXACT, NEVER, false), { action: 'wait', next: 22_000 })
})
