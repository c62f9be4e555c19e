import { test } from 'tap'
import { Crew } from '../../lib/load/crew.ts'
import { Journal } from '../../lib/load/journal.ts'
import { intervalFor, type Moment, Timeline } from '../../lib/load/timeline.ts'
import { record } from '../../lib/load/times.ts'

test('as many moments as a plot shows', async (t) => {
  t.same([1_000, 60_000, 3_600_000].map(intervalFor), [250, 500, 10_000])
})

test('each moment has what came since the one before', async (t) => {
  const journal = new Journal('run', 0)
  const timeline = new Timeline(new Crew([], journal), journal, performance.now())
  record(journal.latestLatency, 5)
  journal.ledger.delivered = 3
  const first = await new Promise<Moment>((resolve) => timeline.start(1, resolve))
  t.match(first, { phase: 'connecting', connected: 0, delivered: 3, max: Number, loopDelay: { max: Number } })
  timeline.phase = 'sending'
  timeline.stop()
  timeline.stop()
  t.match(timeline.moments.at(-1), { phase: 'sending', delivered: 0, p50: null, p99: null, max: null })
  t.equal(journal.latency.count, 1)
  t.equal(journal.latestLatency.count, 0)
})
