import { test } from 'tap'
import { pageModule } from '../../support/page-module.ts'

const { textOf } = await pageModule('step-list.js')

test('each worker is named with what becomes of it', async (t) => {
  const text = (state: string, successor: number | null = 4) => textOf({ worker: 1, successor, state, reason: null })
  t.same(
    ['waiting', 'starting', 'draining', 'killed', 'done', 'failed'].map((state) => text(state)),
    [
      'worker 1',
      'worker 1: 4 starts',
      'worker 1 drains, 4 serves',
      'worker 1: SIGKILL',
      'worker 1 → 4',
      'worker 4 failed'
    ]
  )
  t.same(
    [text('starting', null), text('done', null), text('failed', null)],
    ['worker 1 …', 'worker 1 ended', 'worker 1 failed']
  )
})
