import t from 'tap'
import { Excess } from '../../lib/connection/excess.ts'
import { TimerWheel } from '../../lib/timing/timer-wheel.ts'
import { FakeClock } from '../support/clock.ts'

function make() {
  const clock = new FakeClock(10_000)
  const wheel = new TimerWheel(clock, 50)
  const answers: [at: number, dropped: number, retryAfter: number][] = []
  const excess = new Excess(wheel, (dropped, retryAfter) => void answers.push([clock.now(), dropped, retryAfter]))
  const drop = (retryAfter = 100) => excess.drop(retryAfter, clock.now())
  const add = () => excess.add(clock.now())
  return { clock, wheel, excess, answers, drop, add }
}

t.test('2,000 at once are too much', async (t) => {
  const { add } = make()
  for (let n = 1; n < 2_000; n++) if (add()) t.fail(`too much at ${n}`)
  t.ok(add())
  t.ok(add(), 'and stay too much')
})

t.test('one is forgiven every 50 ms', async (t) => {
  const { clock, add } = make()
  for (let n = 0; n < 20_000; n++) {
    if (add()) t.fail(`too much at ${n}`)
    clock.advance(50)
  }
  for (let n = 0; n < 1_999; n++) add()
  clock.advance(50)
  t.notOk(add())
  t.ok(add())
})

t.test('bouts of 9 s with 2 s of quiet between end within a minute', async (t) => {
  const { clock, add } = make()
  let ended: number | undefined
  for (let ms = 0; ms < 60_000 && ended === undefined; ms += 10) {
    // Twice what is allowed: a hundred a second too many.
    if (ms % 11_000 < 9_000 && add()) ended = ms
    clock.advance(10)
  }
  t.ok(ended !== undefined, `after ${ended} ms`)
})

t.test('ten answers a second, and each counts what was dropped since the last', async (t) => {
  const { clock, wheel, answers, drop } = make()
  for (let n = 0; n < 500; n++) drop()
  t.same(
    answers.map(([, dropped]) => dropped),
    Array(10).fill(1)
  )
  for (let n = 0; n < 500; n++) {
    clock.advance(10)
    drop(70)
  }
  clock.advance(2_000)
  t.equal(wheel.size, 0)
  t.equal(
    answers.reduce((sum, [, dropped]) => sum + dropped, 0),
    1_000,
    'none is left out'
  )
  for (const [from] of answers) {
    const window = answers.filter(([at]) => at >= from && at < from + 1_000)
    t.ok(window.length <= 10, `${window.length} from ${from} on`)
  }
  t.ok(answers.length > 40)
})

t.test('the last ones are told too, with what is left of the wait', async (t) => {
  const { clock, answers, drop } = make()
  for (let n = 0; n < 11; n++) drop(5_000)
  t.equal(answers.length, 10)
  clock.advance(1_050)
  t.same(answers.at(-1), [11_000, 1, 4_000])
  for (let n = 0; n < 10; n++) drop(10)
  clock.advance(1_050)
  t.same(answers.at(-1), [12_000, 1, 1], 'there is always something to wait for')
})

t.test('an answer about one message has this message with it', async (t) => {
  const clock = new FakeClock(10_000)
  const seen: (string | undefined)[] = []
  const excess = new Excess(
    new TimerWheel(clock, 50),
    (_dropped, _retryAfter, only) => void seen.push(only?.toString())
  )
  for (let n = 1; n <= 12; n++) excess.drop(10, clock.now(), Buffer.from(`${n}`))
  clock.advance(1_050)
  t.same(seen, [...Array.from({ length: 10 }, (_, i) => `${i + 1}`), undefined])
})

t.test('a gone connection leaves no timer', async (t) => {
  const { wheel, answers, excess, drop, clock } = make()
  for (let n = 0; n < 11; n++) drop()
  t.equal(wheel.size, 1)
  excess.end()
  t.equal(wheel.size, 0)
  clock.advance(5_000)
  t.equal(answers.length, 10)
})
