import { test } from 'tap'
import { progressOn } from '../../lib/load/progress.ts'
import type { Moment } from '../../lib/load/timeline.ts'

const moment = (fields: Partial<Moment>): Moment => ({
  ...{ phase: 'sending', at: 1, span: 0.5, connected: 40, delivered: 1000, p50: null, p99: null, max: null },
  ...{ cpu: 0, memory: 0, loopDelay: { p50: 0, p99: 0, max: 0 } },
  ...fields
})

function output(terminal: object) {
  const written: string[] = []
  return { written, ...terminal, write: (text: unknown) => written.push(String(text)) > 0 }
}

test('on a terminal, one line that changes', async (t) => {
  const it = output({ isTTY: true, columns: 100 })
  const progress = progressOn(it, 40, 1000)
  progress.show(moment({ phase: 'connecting', connected: 10 }), 0)
  progress.show(moment({}), 100)
  progress.show(moment({ p99: 1.5 }), 600)
  progress.show(moment({ phase: 'settling' }), 700)
  progress.clear()
  t.same(it.written, [
    '\r\u001b[2K█████░░░░░░░░░░░░░░░ connecting, 10 of 40 connected',
    '\r\u001b[2K░░░░░░░░░░░░░░░░░░░░ sending, 40 of 40 connected, 0 %, 2,000 deliveries a second',
    '\r\u001b[2K██████████░░░░░░░░░░ sending, 40 of 40 connected, 50 %, 2,000 deliveries a second, p99 1.50 ms',
    '\r\u001b[2K████████████████████ settling, 40 of 40 connected',
    '\r\u001b[2K'
  ])
  const narrow = output({ isTTY: true })
  progressOn(narrow, 40, 1000).show(moment({ p99: 1.5 }))
  t.equal(narrow.written[0]?.length, '\r\u001b[2K'.length + 79)
})

test('elsewhere, one line a second', async (t) => {
  const it = output({})
  const progress = progressOn(it, 40, 1000)
  for (const now of [0, 999, 1000]) progress.show(moment({ phase: 'settling' }), now)
  progress.clear()
  t.same(it.written, Array(2).fill('settling, 40 of 40 connected\n'))
})
