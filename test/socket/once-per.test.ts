import t from 'tap'
import { OncePer } from '../../lib/socket/once-per.ts'

t.test('the first is reported at once, the next report counts those between', async (t) => {
  const often = new OncePer(60_000)
  t.strictSame(
    [0, 1, 59_999, 60_000, 60_001, 200_000].map((now) => often.count(now)),
    [1, 0, 0, 3, 0, 2]
  )
})
