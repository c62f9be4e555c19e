import t from 'tap'
import { BoundedLog } from '../../lib/connection/bounded-log.ts'
import { rethrow } from '../../lib/input/thrown.ts'
import { TimerWheel } from '../../lib/timing/timer-wheel.ts'
import { FakeClock } from '../support/clock.ts'

t.test('ten lines at once, then one a second, which says how many were left out', async (t) => {
  const lines: unknown[] = []
  const write = (level: string) => (members: object, message: string) => void lines.push([level, members, message])
  const clock = new FakeClock()
  const log = { error: write('error'), warn: write('warn'), info: write('info'), debug: write('debug') }
  const bounded = new BoundedLog(log, new TimerWheel(clock, 50, rethrow))
  for (let n = 0; n < 1_000; n++) bounded.error({ n }, 'failed')
  t.same(
    lines.splice(0),
    Array.from({ length: 10 }, (_, n) => ['error', { n }, 'failed'])
  )
  clock.advance(1_000)
  for (let n = 0; n < 5; n++) bounded.info({ n }, 'denied')
  t.same(lines.splice(0), [['info', { n: 0, omitted: 990 }, 'denied']])
  clock.advance(2_000)
  for (let n = 0; n < 5; n++) bounded.error({ n }, 'failed')
  t.same(lines, [
    ['error', { n: 0, omitted: 4 }, 'failed'],
    ['error', { n: 1 }, 'failed']
  ])
})
