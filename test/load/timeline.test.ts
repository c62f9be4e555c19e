import { test } from 'tap'
import { Crew } from '../../lib/load/crew.ts'
import { Journal } from '../../lib/load/journal.ts'
import { type Moment, Timeline } from '../../lib/load/timeline.ts'
import { record } from '../../lib/load/times.ts'

test('each moment has what came since the one before', async (t) => {
  const journal = new Journal('run', 0)
  record(journal.latestLatency, 5)
  journal.ledger.delivered = 3
  const crew = new Crew([], journal)
  let timeline: Timeline | undefined
  const first = await new Promise<Moment>((resolve) => {
    timeline = new Timeline(crew, journal, performance.now(), 1, resolve)
  })
  t.match(first, { phase: 'connecting', connected: 0, delivered: 3, max: Number, loopDelay: { max: Number } })
  if (timeline !== undefined) timeline.phase = 'sending'
  t.match(timeline?.look(), { phase: 'sending', delivered: 0, p50: null, p99: null, max: null })
  timeline?.stop()
  t.equal(timeline?.moments.length, 2)
  t.equal(journal.latency.count, 1)
  t.equal(journal.latestLatency.count, 0)
})
