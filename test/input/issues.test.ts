import t from 'tap'
import { boundedIssues } from '../../lib/input/issues.ts'

t.test('findings are as the validator has them', async (t) => {
  const issues = [
    { keyword: 'type', instancePath: '/a', params: { type: 'number' }, message: 'must be number' },
    'text'
  ]
  t.same(boundedIssues(issues), issues)
})

t.test('ten of them, and no more than a client may know of each', async (t) => {
  const long = 'x'.repeat(1_000_000)
  const issue = { instancePath: `/${long}`, params: { additionalProperty: long }, message: 'no', [long]: 1 }
  const many = Array.from({ length: 100_000 }, () => issue)
  const bounded = boundedIssues(many)
  t.equal(bounded.length, 10)
  t.ok(JSON.stringify(bounded).length < 8_192)
  t.match(bounded[0], { message: 'no' })
  t.ok(
    JSON.stringify(boundedIssues([long, [long], null, Object.fromEntries(Object.entries(long.slice(0, 99)))])).length <
      1_024
  )
})

t.test('what JSON can’t say is the validator’s fault', async (t) => {
  t.throws(() => boundedIssues([{ params: { n: [1n] } }]))
})
