import fc from 'fast-check'
import t from 'tap'
import { collect } from '../support/collect.ts'
import { play, type Step, schedules } from './schedule.ts'

/*
 * Random schedules over the real hub, its recovery, feeds and outboxes: messages are lost, repeated and late, history is
 * slow, fails and is lost, readers stall, clients come and go. SCHEDULES=100000 runs so many, SCHEDULES_SEED=7 others.
 * A schedule that fails is shortened; what happened in it is printed, and its steps, to be kept below.
 */
const RUNS = Number(process.env.SCHEDULES ?? 500)
const SEED = Number(process.env.SCHEDULES_SEED ?? 1)

t.test('schedules that failed once', async (t) => {
  const failed: Record<string, readonly Step[]> = {
    // Its reader was given the new epoch's publications as if they were the old one's.
    'a catch-up whose read fails after the epoch has changed': [
      ['flow'],
      ['flow'],
      ['disconnect', 1],
      ['publish', 1, 1, 'kept'],
      ['publish', 1, 3, 'lost'],
      ['connect', 1],
      ['publish', 1, 1, 'kept'],
      ['answer', 2],
      ['reset', 1, 0],
      ['flow'],
      ['fail', 1],
      ['turn']
    ]
  }
  for (const [name, steps] of Object.entries(failed)) {
    const { faults } = await play(steps)
    t.strictSame(faults, [], name)
  }
})

t.test(`${RUNS} schedules lose nothing, double nothing and leave nothing behind`, { timeout: 3_600_000 }, async (t) => {
  const figures = { delivered: 0, recovered: 0, gapsDeclared: 0, deltas: 0, filtered: 0 }
  // Hubs live on, so that what they hold of those who have left shows.
  const hubs: object[] = []
  const gone: WeakRef<object>[] = []
  const property = fc.asyncProperty(schedules, async (schedule) => {
    const outcome = await play(schedule)
    figures.delivered += outcome.delivered
    figures.recovered += outcome.recovered
    figures.gapsDeclared += outcome.gapsDeclared
    figures.deltas += outcome.deltas
    figures.filtered += outcome.filtered
    hubs.push(outcome.hub)
    gone.push(...outcome.gone)
    return outcome.faults.length === 0
  })
  const { failed, counterexample, seed, counterexamplePath } = await fc.check(property, {
    numRuns: RUNS,
    seed: SEED,
    interruptAfterTimeLimit: 3_000_000
  })
  if (failed && counterexample) {
    const { trace, faults } = await play(counterexample[0])
    for (const line of [...trace, ...faults, JSON.stringify(counterexample[0])]) console.log(line)
    t.fail(`seed ${seed}, path ${counterexamplePath}: ${faults[0]}`)
    return
  }
  // The schedules do what they are there for.
  t.ok(figures.delivered > 10 * RUNS, `${figures.delivered} delivered`)
  t.ok(figures.recovered > RUNS / 2, `${figures.recovered} recovered`)
  t.ok(figures.gapsDeclared > RUNS / 10, `${figures.gapsDeclared} gaps declared`)
  t.ok(figures.deltas > RUNS, `${figures.deltas} deltas`)
  t.ok(figures.filtered > RUNS, `${figures.filtered} filtered`)
  collect()
  t.equal(gone.filter((connection) => connection.deref() !== undefined).length, 0, `of ${gone.length} who have left`)
  t.equal(hubs.length, RUNS)
})
