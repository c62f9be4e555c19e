import t from 'tap'
import { systemClock, type Timed, TimerWheel } from '../../lib/timing/timer-wheel.ts'
import { FakeClock } from '../support/clock.ts'

const RESOLUTION = 50

function make(start = 0, failed?: (error: unknown) => void) {
  const clock = new FakeClock(start)
  const wheel = new TimerWheel(clock, RESOLUTION, failed)
  const met: [name: string, now: number][] = []
  /** An entry that notes when it is due, and gives the next of these deadlines each time. */
  const entry = (name: string, ...next: number[]): Timed => ({
    wheelTick: -1,
    onDue(now) {
      met.push([name, now])
      return next.shift() ?? Number.POSITIVE_INFINITY
    }
  })
  return { clock, wheel, met, entry }
}

t.test('a deadline is met at most one resolution late, never early', async (t) => {
  for (const start of [0, 12_345.678]) {
    for (const after of [1, 49, 50, 51, 99.5, 1_000, 51_199, 51_200, 51_201, 123_456]) {
      const { clock, wheel, met, entry } = make(start)
      wheel.set(entry('a'), start + after)
      clock.advance(after + 2 * RESOLUTION)
      const [[, now] = ['', 0]] = met
      t.equal(met.length, 1)
      t.ok(now >= start + after && now < start + after + 2 * RESOLUTION, `${after} ms after ${start}: ${now}`)
    }
  }
})

t.test('a far deadline is not met before its time, whichever slot it shares', async (t) => {
  const { clock, wheel, met, entry } = make()
  const turn = 1_024 * RESOLUTION
  wheel.set(entry('soon'), 100)
  wheel.set(entry('next turn'), turn + 100)
  wheel.set(entry('third turn'), 2 * turn + 100)
  for (const at of [Number.MAX_SAFE_INTEGER, 1e300]) wheel.set(entry('never here'), at)
  clock.advance(3 * turn)
  t.same(met, [
    ['soon', 100],
    ['next turn', turn + 100],
    ['third turn', 2 * turn + 100]
  ])
  t.equal(wheel.size, 2)
})

t.test('a past deadline is met in the next round', async (t) => {
  const { clock, wheel, met, entry } = make(10_000)
  wheel.set(entry('past'), 3)
  wheel.set(entry('long past'), Number.NEGATIVE_INFINITY)
  clock.advance(RESOLUTION)
  t.same(met, [
    ['past', 10_050],
    ['long past', 10_050]
  ])
})

t.test('an entry has one deadline: the one set last', async (t) => {
  const { clock, wheel, met, entry } = make()
  const moved = entry('moved')
  wheel.set(moved, 100)
  wheel.set(moved, 500)
  t.equal(wheel.size, 1)
  clock.advance(400)
  t.same(met, [])
  wheel.set(moved, 450)
  clock.advance(50)
  t.same(met, [['moved', 450]])
})

t.test('a deadline that is dropped is not met; Infinity is none', async (t) => {
  const { clock, wheel, met, entry } = make()
  const [a, b] = [entry('a'), entry('b')]
  wheel.set(a, 100)
  wheel.set(b, 100)
  wheel.delete(a)
  wheel.delete(a)
  wheel.set(b, Number.POSITIVE_INFINITY)
  clock.advance(200)
  t.same(met, [])
  t.equal(wheel.size, 0)
})

t.test('what onDue gives is the next deadline', async (t) => {
  const { clock, wheel, met, entry } = make()
  wheel.set(entry('a', 300, 5, 900), 100)
  clock.advance(2_000)
  t.same(met, [
    ['a', 100],
    ['a', 300],
    // One in the past comes with the next round, not with this one again and again.
    ['a', 350],
    ['a', 900]
  ])
  t.equal(wheel.size, 0)
})

t.test('deadlines set and dropped within a round', async (t) => {
  const { clock, wheel, met, entry } = make()
  const [late, doomed, pushed] = [entry('late'), entry('doomed'), entry('pushed')]
  const meddler: Timed = {
    wheelTick: -1,
    onDue(now) {
      wheel.delete(doomed)
      wheel.set(pushed, now + 200)
      // Past, in a slot that this round has already visited.
      wheel.set(late, 1)
      return Number.POSITIVE_INFINITY
    }
  }
  wheel.set(meddler, 50)
  wheel.set(doomed, 50)
  wheel.set(pushed, 50)
  clock.stall(1_000)
  t.same(met, [])
  clock.advance(RESOLUTION)
  t.same(met, [['late', 1_050]])
  clock.advance(RESOLUTION * 4)
  t.same(met.slice(1), [['pushed', 1_200]])
})

t.test('a stall of any length meets every deadline once', async (t) => {
  for (const stall of [100, 1_000, 51_150, 51_200, 60_000, 3_600_000]) {
    const { clock, wheel, met, entry } = make()
    const ats = [10, 60, 5_000, 51_000, 51_200, 59_000, 200_000, 3_500_000]
    for (const at of ats) wheel.set(entry(String(at)), at)
    clock.stall(stall)
    const due = ats.filter((at) => at <= stall).map(String)
    t.same(met.map(([name]) => name).sort(), due.sort(), `${stall} ms`)
    t.equal(wheel.size, ats.length - due.length)
  }
})

t.test('after a stall there is a grace, as long as the stall but a second at most', async (t) => {
  const { clock, wheel, entry } = make()
  wheel.set(entry('a'), 1_000_000)
  clock.advance(10_000)
  t.ok(wheel.graceUntil < wheel.now(), 'none while the timer is punctual')
  clock.stall(RESOLUTION)
  t.ok(wheel.graceUntil <= wheel.now())
  clock.stall(200)
  t.ok(wheel.graceUntil > wheel.now())
  t.ok(wheel.graceUntil <= wheel.now() + 200)
  clock.stall(10_000)
  const until = wheel.graceUntil
  t.equal(until, wheel.now() + 1_000)
  clock.stall(150)
  t.equal(wheel.graceUntil, until, 'a shorter stall does not cut it short')
})

t.test('the timer runs only while there are deadlines', async (t) => {
  const { clock, wheel, met, entry } = make()
  t.equal(clock.running, 0)
  const [a, b] = [entry('a'), entry('b')]
  wheel.set(a, 100)
  wheel.set(b, 200)
  t.equal(clock.running, 1)
  wheel.delete(b)
  t.equal(clock.running, 1)
  clock.advance(100)
  t.equal(clock.running, 0)
  // Idle time is no stall, and what is set after it is met in time.
  clock.advance(100_000)
  wheel.set(a, 100_200)
  t.equal(clock.running, 1)
  clock.advance(200)
  t.same(met, [
    ['a', 100],
    ['a', 100_200]
  ])
  t.ok(wheel.graceUntil < 100_000)
  t.equal(clock.running, 0)
})

t.test('the system clock goes on, and its timer stops when told', async (t) => {
  const start = systemClock.now()
  await new Promise<void>((resolve) => {
    let rounds = 0
    const stop = systemClock.every(1, () => {
      rounds++
      if (rounds < 3) return
      stop()
      resolve()
    })
    // The timer itself does not keep the process alive: this does.
    const alive = setInterval(() => {}, 1_000)
    t.teardown(() => clearInterval(alive))
  })
  t.ok(systemClock.now() > start)
})

t.test('case 129: an error at one deadline is reported, and the others are met', async (t) => {
  const failures: unknown[] = []
  const { clock, wheel, met, entry } = make(0, (error) => failures.push(error))
  const error = new Error('one deadline')
  let calls = 0
  const failing: Timed = {
    wheelTick: -1,
    onDue() {
      calls++
      throw error
    }
  }
  wheel.set(failing, 100)
  wheel.set(entry('a', 2_000), 100)
  clock.advance(200)
  t.same(met.length, 1)
  t.same(failures, [error])
  t.equal(calls, 1)
  clock.advance(1_200)
  t.equal(calls, 2, 'it is tried again after a second')
  clock.advance(1_000)
  t.equal(met.length, 2)
})
