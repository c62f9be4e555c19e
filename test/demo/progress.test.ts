import { test } from 'tap'
import { Progress } from '../../demo/progress.ts'

test('a restart, worker by worker: what is done stays done, what was reached fails, the rest waits', async (t) => {
  const progress = new Progress()
  t.same(progress.steps, [])
  progress.begin([1, 2, 3])
  progress.set(1, { state: 'starting', successor: 4 })
  progress.set(1, { state: 'done' })
  progress.set(2, { state: 'starting', successor: 5 })
  progress.set(9, { state: 'done' })
  progress.fail('worker 5 did not come to listen')
  t.same(progress.steps, [
    { worker: 1, successor: 4, state: 'done', reason: null },
    { worker: 2, successor: 5, state: 'failed', reason: 'worker 5 did not come to listen' },
    { worker: 3, successor: null, state: 'waiting', reason: null }
  ])
  progress.begin([4])
  t.same(progress.steps, [{ worker: 4, successor: null, state: 'waiting', reason: null }])
})
