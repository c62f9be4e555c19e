import t from 'tap'
import { OncePer, OncePerName } from '../../lib/timing/once-per.ts'

t.test('the first is reported at once, the next report counts those between', async (t) => {
  const often = new OncePer(60_000)
  t.strictSame(
    [0, 1, 59_999, 60_000, 60_001, 200_000].map((now) => often.count(now)),
    [1, 0, 0, 3, 0, 2]
  )
})

t.test('each name is reported once, and no more names than are remembered', async (t) => {
  const often = new OncePerName(1_000, 2)
  t.same(
    [
      ['a', 0],
      ['a', 1],
      ['b', 500],
      ['c', 501],
      ['a', 999],
      ['a', 1_000],
      ['c', 1_001],
      ['c', 1_500],
      ['b', 1_501]
    ].filter(([name, now]) => often.isDue(name as string, now as number)),
    [
      ['a', 0],
      ['b', 500],
      ['a', 1_000],
      ['c', 1_500]
    ]
  )
})
