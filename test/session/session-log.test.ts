import t from 'tap'
import { SessionLog } from '../../lib/session/session-log.ts'
import { TimerWheel } from '../../lib/timing/timer-wheel.ts'
import { FakeClock } from '../support/clock.ts'

t.test('what is said of a client is bounded, and names it', async (t) => {
  const lines: unknown[][] = []
  const note = (...line: unknown[]) => void lines.push(line)
  const log = new SessionLog('c1', { error: note, info: note } as never, new TimerWheel(new FakeClock(), 50))
  for (let i = 0; i < 1_000; i++) {
    log.failed({ hook: 'onUnsubscribe' }, 'channel hook failed')
    log.denied({ id: 1, name: 'publish', request: { channel: 'x'.repeat(10_000) } } as never, { sub: 'ada' })
    log.denied({ id: 1, name: 'rpc', request: {} } as never, null)
  }
  t.match(lines[0], [{ hook: 'onUnsubscribe', connection: 'c1' }, 'channel hook failed'])
  t.match(lines[1], [{ connection: 'c1', user: 'ada', command: 'publish' }, 'channel command denied'])
  t.match(lines[2], [
    { connection: 'c1', user: undefined, command: 'rpc', channel: undefined },
    'channel command denied'
  ])
  t.ok(lines.length < 100, `${lines.length} lines`)
  t.ok(JSON.stringify(lines[1]).length < 1_000, 'and a long name is cut')
})
