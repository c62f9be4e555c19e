import t from 'tap'
import { Progress, type Status } from '../../../../demo/load/output/progress.ts'
import type { Moment } from '../../../../demo/load/result.ts'

const moment: Moment = {
  at: 3,
  phase: 'sending',
  span: 0.5,
  connected: 1000,
  published: 50,
  delivered: 5000,
  p50: 1.2,
  p99: 12.34,
  max: 20,
  loopDelay: { p50: 0, p99: 1, max: 2 },
  generatorCpu: 0.2,
  serverCpu: null,
  serverMemory: null
}
const status: Status = { moment, asked: 1000, elapsed: 3000, duration: 12_000 }
const LINE = 'sending 3 of 12 s, 1,000 of 1,000 connected, 100 published/s, 10,000 delivered/s, p99 12.3 ms'

t.test('on a terminal one line that changes, no wider than it', async (t) => {
  const written: string[] = []
  const progress = new Progress({ isTTY: true, columns: 60, write: (text: string) => written.push(text) })
  progress.show(status, 0)
  progress.show({ ...status, moment: { ...moment, phase: 'connecting', connected: 500 } }, 1)
  progress.note('said')
  t.equal(written[0], `\r\u001b[2K${`█████░░░░░░░░░░░░░░░ ${LINE}`.slice(0, 59)}`)
  t.equal(written[1], '\r\u001b[2K██████████░░░░░░░░░░ connecting, 500 of 1,000 connected')
  t.same(written.slice(2), ['\r\u001b[2K', 'said\n'])
})

t.test('elsewhere a line a second', async (t) => {
  const written: string[] = []
  const progress = new Progress({ write: (text: string) => written.push(text) })
  for (const now of [0, 500, 999, 1000, 1500]) progress.show(status, now)
  progress.clear()
  t.same(written, [`${LINE}\n`, `${LINE}\n`])
})

t.test('a time that is the generator’s own is not shown', async (t) => {
  const written: string[] = []
  const late = { ...moment, loopDelay: { p50: 0, p99: 11, max: 11 } }
  new Progress({ write: (text: string) => written.push(text) }).show({ ...status, moment: late }, 0)
  t.notMatch(written[0], 'p99')
})
